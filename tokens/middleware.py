"""The middleware: signs a request in by its access token, and refreshes unseen when that has expired.

It takes the place of `django.contrib.auth.middleware.AuthenticationMiddleware`, of which it is a subclass, behind
`SessionMiddleware`. A request goes one way through it::

    a Bearer header?  →  its access token, and no cookie
    an access cookie  →  valid, and not revoked: served without a query
    a refresh cookie  →  refreshed (`tokens.service.refreshing`), and this very request is served as the user
    nothing, refused  →  an anonymous user; what is wrong is for the view to say

and back, where the response gets the cookies, or loses them.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.core.signals import setting_changed
from django.db import InterfaceError, OperationalError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

from tokens import cookies, problems
from tokens.access_tokens import AccessToken, ExpiredAccessToken, InvalidAccessToken, codec
from tokens.conf import COOKIE, token_settings
from tokens.exchange import Exchange, attach, exchange_of
from tokens.models import RefreshToken
from tokens.network import client_of
from tokens.origins import is_cross_origin, is_unsafe
from tokens.problems import Problem
from tokens.service import acknowledgements
from tokens.service.ending import end
from tokens.service.feed import FeedUnavailable, feed
from tokens.service.grants import Grant
from tokens.service.keeping import is_still_wanted
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh
from tokens.users import LazyUser

DATABASE_DOWN = (OperationalError, InterfaceError, FeedUnavailable)
REFRESHES_ITSELF = ("login", "refresh", "logout")
"""The views of the API that look at the refresh cookie themselves."""


class TokenMiddleware(AuthenticationMiddleware):
    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        token_settings()  # A server that is wrongly set up must not start.

    def process_request(self, request: HttpRequest) -> HttpResponse | None:  # type: ignore[override]
        exchange = attach(request)
        try:
            refused = _sign_in(request, exchange)
        except DATABASE_DOWN:
            refused = problems.UNAVAILABLE
        _show_user(request, exchange)
        return problems.respond(request, refused) if refused else None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        exchange = exchange_of(request)
        if exchange is None:
            return response
        try:
            _carry_out(request, exchange)
        except DATABASE_DOWN:
            return problems.respond(request, problems.UNAVAILABLE)
        if exchange.refreshed and exchange.grant and not _is_still_wanted(exchange.grant):
            exchange.grant = None
        if exchange.grant:
            cookies.set_grant(response, exchange.grant, timezone.now())
        elif exchange.clear:
            cookies.clear(response)
        if exchange.user_asked:
            patch_vary_headers(response, ("Cookie",))
        return response


def bearer_token(request: HttpRequest) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header (RFC 6750 section 2.1), or None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _sign_in(request: HttpRequest, exchange: Exchange) -> Problem | None:
    """Find out whose request it is. Return a problem only where it must not go on."""
    now = timezone.now()
    bearer = bearer_token(request)
    if bearer is not None:
        _check(bearer, now, exchange)
        return None
    if access := cookies.read(request, cookies.ACCESS):
        _check(access, now, exchange)
    if exchange.access is None:
        presented = cookies.read(request, cookies.REFRESH)
        if not presented or _path(request) in _paths(*REFRESHES_ITSELF):
            return None
        if is_unsafe(request) and is_cross_origin(request):
            return problems.CROSS_ORIGIN
        _refresh(request, presented, exchange)
    elif is_unsafe(request) and is_cross_origin(request):
        return problems.CROSS_ORIGIN
    return None


def _check(text: str, now: datetime, exchange: Exchange) -> None:
    """Check an access token without a query, and note that its use acknowledges its generation."""
    try:
        token = codec().loads(text, now)
    except ExpiredAccessToken:
        exchange.problem = problems.TOKEN_EXPIRED
    except InvalidAccessToken:
        exchange.problem = problems.NOT_AUTHENTICATED
    else:
        if feed.is_revoked(token.session_id):
            exchange.problem = problems.SESSION_ENDED
        else:
            acknowledgements.note(token, now)
            exchange.access = token


def _refresh(request: HttpRequest, presented: str, exchange: Exchange) -> None:
    answer = refresh(presented, COOKIE, client_of(request))
    if isinstance(answer, Refusal):
        exchange.problem = problems.SESSION_ENDED
        # Elsewhere a slow answer to an old request could undo a sign-in made meanwhile.
        exchange.clear = answer.definite and (_is_navigation(request) or _is_auth_api(request))
    else:
        exchange.access, exchange.grant, exchange.refreshed = answer.access, answer, True


def _show_user(request: HttpRequest, exchange: Exchange) -> None:
    user: Any
    if exchange.access is None:
        user = SimpleLazyObject(lambda: _nobody(exchange))
    else:
        loaded = exchange.grant.user if exchange.grant else None
        user = LazyUser(exchange.access.subject, exchange.note_user_asked, loaded)

    async def auser() -> Any:
        return user

    request.user = user
    request.auser = auser
    request.auth = exchange.access  # type: ignore[attr-defined]


def _nobody(exchange: Exchange) -> AnonymousUser:
    exchange.note_user_asked()
    return AnonymousUser()


def _carry_out(request: HttpRequest, exchange: Exchange) -> None:
    """Do what the view asked of `django.contrib.auth`: it has the last word on the cookies."""
    if exchange.signed_out:
        _end_own_session(request, exchange.access)
        exchange.end()
    if exchange.signed_in is not None:
        remember = not request.session.get_expire_at_browser_close()
        exchange.answer(open_session(exchange.signed_in, client_of(request), mode=COOKIE, remember=remember))


def _is_still_wanted(grant: Grant) -> bool:
    """Whether nobody signed in or out in this browser while the view ran; a late cookie must not undo that."""
    try:
        return is_still_wanted(grant.session)
    except DATABASE_DOWN:
        return False  # Then the answer is lost, which the protocol forgives.


def _end_own_session(request: HttpRequest, access: AccessToken | None) -> None:
    if access is not None:
        session = RefreshToken.objects.filter(id=access.session_id)
        end(session, RefreshToken.Reason.SIGNED_OUT, client=client_of(request))


def _is_navigation(request: HttpRequest) -> bool:
    """Whether a person is going to a page: told by the browser, or guessed for one that does not tell."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _is_auth_api(request: HttpRequest) -> bool:
    login = _paths("login")
    return bool(login) and _path(request).startswith(next(iter(login)).removesuffix("login"))


def _path(request: HttpRequest) -> str:
    return request.path.rstrip("/")


@lru_cache
def _paths(*names: str) -> frozenset[str]:
    """The paths of these views of the API; none where a project has not included it."""
    try:
        return frozenset(reverse(f"tokens:{name}") for name in names)
    except NoReverseMatch:
        return frozenset()


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "ROOT_URLCONF":
        _paths.cache_clear()
