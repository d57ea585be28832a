"""Pages that lead on to the page in ``?next=``."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import RedirectURLMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import login_urls
from tokens import sessions


class OwnSite(RedirectURLMixin):
    """A page that redirects to ``next``, if that is a page of ORIGIN."""

    request: HttpRequest

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        given = self.request.POST.get("next", self.request.GET.get("next"))
        origin = urlsplit(settings.ORIGIN)
        is_ours = url_has_allowed_host_and_scheme(
            given, allowed_hosts={origin.netloc}, require_https=origin.scheme == "https"
        )
        return given if given and is_ours else ""


class LandingPage(OwnSite):
    """A page that leads to LOGIN_REDIRECT_URL if there is no ``next``."""

    def get_default_redirect_url(self) -> str:
        # Few projects have a page at Django's default.
        is_there = login_urls.leads_somewhere(settings.LOGIN_REDIRECT_URL)
        return resolve_url(settings.LOGIN_REDIRECT_URL) if is_there else reverse("your-devices")

    def lead_on(self) -> HttpResponse:
        """Redirect a user who has just signed in, by way of the page of a factor if there is one."""
        user = self.request.user
        return HttpResponseRedirect(sessions.factors.page_after_sign_in(self.request, user, self.get_success_url()))
