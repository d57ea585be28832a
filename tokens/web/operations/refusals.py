"""The response to a sign-in that the policy has refused, or for which it asks for more.

Programs get a problem. Browsers that ask for more are led to the page of the URL name ``sign-in-factor``, which
`accounts` has, and get a pending sign-in.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse

from tokens.conf import BODY, token_settings
from tokens.web import trust
from tokens.web.django import withheld_session
from tokens.web.exchange import Exchange
from tokens.web.http import cookies, pending_cookie, problems
from tokens.web.http.client import client_of
from tokens.web.http.paths import FACTOR, auth_api
from tokens.web.operations import admission, pending
from tokens.web.sign_in_policy import FactorRequired, SignInRefused

PAGE = "sign-in-factor"
"""The name of the URL of the page that asks for a factor."""


def answer(request: HttpRequest, exchange: Exchange, response: HttpResponseBase) -> HttpResponseBase:
    """Return what is answered in the place of the view's response, which may show what the user would have seen."""
    was_in_view = exchange.refused_writes is not None
    admission.allow_writes(exchange)
    if was_in_view and hasattr(request, "session"):
        withheld_session.empty(request)  # The view may have caught the exception, and written to it since.
    error = exchange.refused
    if isinstance(error, FactorRequired):
        to_open = exchange.session_to_open
        names = pending.offered(to_open.user, to_open.proved, error)
        if names:
            period = trust.offered() if exchange.offers_trust else None
            client = client_of(request, exchange.device_token)
            text = pending.begin(to_open, client, names, may_trust=period is not None)
            return _ask(request, names, text, period, is_in_body=to_open.mode == BODY)
        return problems.respond(request, problems.NO_FACTOR)
    if isinstance(error, SignInRefused):
        return problems.respond(request, problems.refused(str(error.reason)))
    if isinstance(error, problems.DATABASE_DOWN):
        return problems.respond(request, problems.UNAVAILABLE)
    # The policy itself has failed. If nobody has caught that, Django has answered, and has told the operators.
    return response if response.status_code >= 500 else problems.respond(request, problems.ERROR)


def _ask(
    request: HttpRequest, names: list[str], text: str, trusted_for: timedelta | None, *, is_in_body: bool
) -> HttpResponseBase:
    if problems.is_for_program(request) or (page := _page(request, names)) is None:
        root = auth_api()
        more: dict[str, Any] = {"offered": names, "verify": root + FACTOR if root else None}
        more |= {"trust_device_for": int(trusted_for.total_seconds())} if trusted_for else {}
        more |= {"pending": text} if is_in_body else {}
        response: HttpResponseBase = problems.respond(request, problems.FACTOR_REQUIRED, **more)
    else:
        response = HttpResponseRedirect(page)
    if not is_in_body:
        pending_cookie.keep(response, text, pending.LIFETIME)
    cookies.keep_private(response)
    return response


def _page(request: HttpRequest, names: list[str]) -> str | None:
    """Return the URL of the page that asks for a factor, with the page to go to afterwards. None: there is none.

    There is none for a request to that page, if a middleware signs in with each request. It would be asked for ever.
    """
    if not any(factor.is_on_pages for factor in token_settings().known_factors if factor.name in names):
        return None
    try:
        page = reverse(PAGE)
    except NoReverseMatch:
        return None
    if request.path == page:
        return None
    form = request.POST if hasattr(request, "_post") else {}
    target = form.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME)
    return f"{page}?{urlencode({REDIRECT_FIELD_NAME: target})}" if target else page
