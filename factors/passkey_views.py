"""What the scripts of pages need for passkeys: options as JSON, and a sign-in that leads on.

They need no REST framework. A page sends its CSRF token with both, as with a form. Clients without pages use the API
(`factors.api.passkeys`).
"""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from factors.next_page import asked_for, next_page
from factors.service import origins, passkeys
from tokens import sessions

careful = method_decorator(
    [
        transaction.non_atomic_requests,
        login_not_required,
        never_cache,
        sensitive_post_parameters(),
        sensitive_variables(),
    ],
    "dispatch",
)


class PasskeyView(View):
    """Answers 404 unless this site has passkeys."""

    http_method_names = ("post",)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not passkeys.are_on():
            raise Http404
        return super().dispatch(request, *args, **kwargs)


@careful
class Options(PasskeyView):
    """Returns ``{"options": …}`` for what ``for`` says:

    - ``sign-in``: a sign-in without anything before. The browser gets a cookie.
    - ``second-step``: the pending sign-in of this browser asks for a factor.
    - ``enrolment``: the pending sign-in of this browser sets one up.
    - ``prove``: the signed-in user, or that of the idle session, answers a factor.
    - ``create``: a new passkey of the signed-in user. ``quiet``: the browser creates it without asking.

    Answers 400 if the browser has nothing that it could be for.
    """

    def post(self, request: HttpRequest) -> HttpResponse:
        purpose = request.POST.get("for")
        if purpose == "sign-in":
            party = sessions.relying_party(request)
            browser = party.browser or passkeys.new_browser()
            response = JsonResponse({"options": passkeys.sign_in_options(request, browser)})
            party.keep(response, browser)
            return response
        options = self._options(request, purpose)
        return HttpResponseBadRequest() if options is None else JsonResponse({"options": options})

    def _options(self, request: HttpRequest, purpose: str | None) -> Any:
        if purpose in {"second-step", "enrolment"}:
            name = passkeys.NAME if purpose == "second-step" else passkeys.ENROLMENT
            try:
                return sessions.pending.options_here(request, name)
            except sessions.pending.WrongAnswer:
                return None
        user = request.user if _is_live(request) else sessions.idle_user(request) if purpose == "prove" else None
        if user is None or sessions.actor_id(request) is not None:
            return None
        if purpose == "prove":
            return sessions.factors.begin(request, user, passkeys.NAME)
        is_quiet = bool(request.POST.get("quiet"))
        return passkeys.creation_options(request, user, is_quiet=is_quiet) if purpose == "create" else None


@careful
class SignIn(PasskeyView):
    """Signs in by a passkey, and redirects to ``next``, or to LOGIN_REDIRECT_URL. It takes ``answer`` and ``remember``.

    A script that accepts JSON, and not HTML, gets ``{"next": …, "accepted": …}`` or ``{"code": …, "detail": …}``
    instead. ``accepted`` and the codes are those of the API: ``factor_refused``, and ``passkey_unknown`` if the browser
    may forget the passkey.
    """

    def post(self, request: HttpRequest) -> HttpResponse:
        answer, browser = request.POST.get("answer", ""), sessions.relying_party(request).browser
        remember = bool(request.POST.get("remember")) and sessions.may_remember()
        try:
            if not passkeys.reopen(request, answer, browser):
                passkeys.sign_in(request, answer, browser, remember=remember)
        except passkeys.UnknownPasskey:
            text = _("This passkey is not known here any more. Sign in in another way.")
            return self._refused(request, "passkey_unknown", text)
        except sessions.pending.WrongAnswer:
            text = _("That did not work. Try again, or sign in from the beginning.")
            return self._refused(request, "factor_refused", text)
        user = request.user
        url = sessions.factors.page_after_sign_in(request, user, next_page(request))
        if _is_script(request):
            return JsonResponse({"next": url, "accepted": passkeys.accepted(request, user)})
        return redirect(url)

    def _refused(self, request: HttpRequest, code: str, text: str) -> HttpResponse:
        if _is_script(request):
            return JsonResponse({"code": code, "detail": text}, status=401)
        messages.error(request, text, fail_silently=True)
        return redirect_to_login(asked_for(request))


@login_not_required
def related_origins(request: HttpRequest) -> HttpResponse:
    """Name the origins of other sites whose pages may use our passkeys (WebAuthn Level 3 section 5.11.1)."""
    found = origins.related(sessions.relying_party(request)) if passkeys.are_on() else []
    if not found:
        raise Http404
    return JsonResponse({"origins": found}, headers={"Cache-Control": "public, max-age=300"})


def _is_live(request: HttpRequest) -> bool:
    try:
        return sessions.is_live(request)
    except sessions.SessionEnded:
        return False


def _is_script(request: HttpRequest) -> bool:
    accepted = request.headers.get("Accept", "").lower()
    return "json" in accepted and "text/html" not in accepted
