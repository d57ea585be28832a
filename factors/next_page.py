"""Where a page leads on to: ``next``, if it is a page of ORIGIN."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme


def next_page(request: HttpRequest) -> str:
    """Return ``next``, or LOGIN_REDIRECT_URL, or the page "Security". Few projects have a page at Django's default."""
    if given := asked_for(request):
        return given
    try:
        url = resolve_url(settings.LOGIN_REDIRECT_URL)
        resolve(urlsplit(url).path)
    except (NoReverseMatch, Resolver404):
        return resolve_url("your-security")
    return url


def asked_for(request: HttpRequest) -> str:
    """Return ``next``, or "" if it is missing, or not a page of ORIGIN."""
    given, own = request.POST.get("next", request.GET.get("next", "")), urlsplit(settings.ORIGIN)
    is_ours = url_has_allowed_host_and_scheme(given, {own.netloc}, require_https=own.scheme == "https")
    return given if is_ours else ""
