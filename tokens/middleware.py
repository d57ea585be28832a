"""The middleware: signs a request in by its access token, and refreshes unseen when that has expired.

It takes the place of `django.contrib.auth.middleware.AuthenticationMiddleware`, of which it is a subclass, behind
`SessionMiddleware`. A request goes one way through it::

    seen before?      →  its access cookie was checked, and is good: served, and nothing else is looked at
    a Bearer header?  →  its access token, and no cookie
    an access cookie  →  valid, and not revoked: served without a query
    a refresh cookie  →  refreshed (`tokens.service.refreshing`), and this very request is served as the user
    Django's session  →  a sign-in that only it knows of is moved over, once (`tokens.handover`)
    nothing, refused  →  an anonymous user; what is wrong is for the view to say
    a stale cookie    →  (a bound session's) taken away, and asked again: the browser renews it on the way
    could not renew   →  (a bound session's browser, `tokens.dbsc`) the same; but nobody is asked to sign in: 503

and back, where the response gets the cookies, or loses them.
"""

from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asgiref.sync import sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from tokens import cookies, dbsc, handover, metrics, problems
from tokens.access_tokens import ExpiredAccessToken, InvalidAccessToken, codec
from tokens.conf import OFFER, token_settings
from tokens.exchange import Exchange, attach
from tokens.flow import Flow, arun, run
from tokens.hashers import Busy
from tokens.models import RefreshToken
from tokens.network import client_ip, client_of
from tokens.origins import is_cross_origin, is_unsafe
from tokens.paths import DEVICE_REGISTER, auth_api, is_auth_api, is_refresh, refreshes_itself
from tokens.problems import Problem
from tokens.service import acknowledgements, binding, events, keeping
from tokens.service.ending import end
from tokens.service.feed import FeedUnavailable, feed
from tokens.service.grants import Grant
from tokens.service.opening import open_session
from tokens.service.refreshing import Refusal, refresh
from tokens.throttles import Throttled
from tokens.users import LazyUser

metrics.start_at_zero(metrics.SKIPPED, *((reason,) for reason in sorted({*dbsc.SKIP_REASONS, dbsc.OTHER})))

DATABASE_DOWN = (OperationalError, InterfaceError, FeedUnavailable)


class TokenMiddleware(AuthenticationMiddleware):
    """Sync and async: both ways of calling it run the same two flows, one before the view and one behind it."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        token_settings()  # A server that is wrongly set up must not start.

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        exchange = attach(request)
        response: Any = None if _is_at_hand(request, exchange) else run(_before(request, exchange))
        if response is None:
            response = self.get_response(request)
        if exchange.is_unfinished or _session_hash(request):
            response = run(_behind(request, exchange, response))
        return _for_whom(response, exchange)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        exchange = attach(request)
        response: Any = None if _is_at_hand(request, exchange) else await arun(_before(request, exchange))
        if response is None:
            response = await self.get_response(request)  # type: ignore[misc]
        if exchange.is_unfinished or _session_hash(request):
            response = await arun(_behind(request, exchange, response))
        return _for_whom(response, exchange)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer where a view had a password to check, and must not or could not: in any view, the admin's too."""
        if isinstance(exception, Throttled):
            return problems.respond(request, too_often(request, exception))
        return problems.respond(request, problems.UNAVAILABLE) if isinstance(exception, Busy) else None


def _is_at_hand(request: HttpRequest, exchange: Exchange) -> bool:
    """Sign in the request that nearly all are: by an access cookie that was checked before, with nothing to wait for.

    It is what `_sign_in` does, as far as that asks and refuses nobody. All else is left to it, from the start.
    """
    if "HTTP_AUTHORIZATION" in request.META or (text := cookies.read_access(request)) is None:
        return False
    now = time()
    token = codec().remembered(text, now)
    if (
        token is None
        or token.while_open
        or feed.knows_revoked(token.session_id) is not False
        or (is_unsafe(request) and is_cross_origin(request))
        or handover.is_possible(request, token)
    ):
        return False
    acknowledgements.note(token, now)
    exchange.access = token
    _show_user(request, exchange)
    return True


def _before(request: HttpRequest, exchange: Exchange) -> Flow[HttpResponse | None]:
    """Find out whose request it is. Return a response only where it must not go on."""
    try:
        refused = yield from _sign_in(request, exchange)
    except DATABASE_DOWN:
        refused = problems.UNAVAILABLE
    _show_user(request, exchange)
    if refused is None and exchange.stale and (_is_navigation(request) or is_refresh(request)):
        return once_more(request)
    return problems.respond(request, refused) if refused else None


def _behind(request: HttpRequest, exchange: Exchange, response: HttpResponseBase) -> Flow[HttpResponseBase]:
    """Do what the view asked for, and set or clear the cookies."""
    try:
        yield from _carry_out(request, exchange)
    except DATABASE_DOWN:
        return problems.respond(request, problems.UNAVAILABLE)
    if exchange.skipped and exchange.grant is None and _asks_to_sign_in(request, response):
        response = problems.respond(request, problems.UNAVAILABLE)
    if exchange.refreshed and exchange.grant and not (yield partial(_is_still_wanted, exchange.grant.session)):
        exchange.grant = None
    if exchange.grant:
        cookies.set_grant(response, exchange.grant, timezone.now())
        if exchange.grant.is_new:
            _offer_to_bind(response, exchange.grant)
            metrics.SIGN_IN_SECONDS.labels("signed_in").observe(exchange.seconds)
    elif exchange.clear and not (exchange.refused and (yield partial(_has_signed_in_anew, request))):
        cookies.clear(response)
    else:
        if exchange.bound and (yield partial(_is_still_wanted, exchange.bound)):
            cookies.clear_refresh(response, exchange.bound)
        if exchange.stale:
            cookies.clear_access(response)
    return response


def _for_whom(response: HttpResponseBase, exchange: Exchange) -> HttpResponseBase:
    """Say whom the response is for, if the view asked who it is that asks."""
    if exchange.user_asked:
        cookies.vary(response)
        if exchange.access and not response.has_header("Cache-Control"):
            # What RFC 9111 section 3.5 says of Authorization nothing says of cookies, and not every cache heeds Vary.
            response["Cache-Control"] = "private"
    return response


def too_often(request: HttpRequest, error: Throttled) -> Problem:
    """Return the problem that says how long to wait, and log that somebody was told so."""
    events.log("throttled", name=error.name, wait=error.wait, ip=client_ip(request))
    return problems.too_often(error)


def bearer_token(request: HttpRequest) -> str | None:
    """Return the token of an ``Authorization: Bearer`` header (RFC 6750 section 2.1), or None without one."""
    # Not ``request.headers``: it takes all of them apart, for this one.
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _sign_in(request: HttpRequest, exchange: Exchange) -> Flow[Problem | None]:
    bearer = bearer_token(request)
    if bearer is not None:
        yield from _check(bearer, exchange)
        return None
    if access := cookies.read_access(request):
        yield from _check(access, exchange)
        if exchange.access and exchange.access.while_open and not cookies.is_open(request):
            exchange.access, exchange.problem = None, problems.SESSION_ENDED
    presented = None if exchange.access else cookies.read_refresh(request)
    if access and exchange.access is None and presented is None:
        yield from _let_go(access, request, exchange)
    if presented and refreshes_itself(request):
        presented = None
    if (exchange.access or presented) and is_unsafe(request) and is_cross_origin(request):
        return problems.CROSS_ORIGIN
    if presented:
        answer = yield partial(refresh, presented.text, presented.modes, client_of(request))
        _take(answer, request, exchange)
    if handover.is_possible(request, exchange.access) and not (is_unsafe(request) and is_cross_origin(request)):
        grant = yield partial(handover.take_over, request, exchange.access)
        if grant:
            _take(grant, request, exchange)
    if exchange.access is None and (why := request.META.get("HTTP_SECURE_SESSION_SKIPPED")) is not None:
        # Not refused: not asked. It is no reason to let anybody in, for anybody can say so.
        metrics.SKIPPED.labels(dbsc.skip_reason(why)).inc()
        exchange.skipped, exchange.problem = True, problems.UNAVAILABLE
    return None


def _check(text: str, exchange: Exchange) -> Flow[None]:
    """Check an access token, but for a turn of the feed without a query, and note that its use acknowledges it."""
    now = datetime.now(UTC)
    try:
        token = codec().loads(text, now)
    except ExpiredAccessToken:
        exchange.problem = problems.TOKEN_EXPIRED
        return
    except InvalidAccessToken:
        exchange.problem = problems.NOT_OUR_TOKEN
        return
    is_revoked = feed.knows_revoked(token.session_id)
    if is_revoked is None:
        is_revoked = yield partial(feed.is_revoked, token.session_id)
    if is_revoked:
        exchange.problem = problems.SESSION_ENDED
    else:
        acknowledgements.note(token, now.timestamp())
        exchange.access = token


def _let_go(access: str, request: HttpRequest, exchange: Exchange) -> Flow[None]:
    """Let an access cookie go that is refused before its time: it keeps a browser from renewing its bound session.

    Without it the browser asks, and is given another, or told that the session is over. One that goes by mistake, when
    a newer sign-in has replaced it meanwhile, costs a refresh: for all that, the newer one may be what it hides.
    """
    if token_settings().device_bound != OFFER or not (_is_navigation(request) or is_auth_api(request)):
        return
    if exchange.problem in {problems.NOT_OUR_TOKEN, problems.SESSION_ENDED}:
        exchange.stale = True
    elif exchange.problem is problems.TOKEN_EXPIRED:
        # The cookie of a bound session ends before its token; but the browser's clock may have been set back.
        token = codec().loads_expired(access)
        if token.generation is None and (yield partial(binding.bound_session, token.session_id)):
            exchange.stale = True


def once_more(request: HttpRequest) -> HttpResponse:
    """Send the browser here again without its stale cookie, its method and body kept: it refreshes on the way."""
    response = HttpResponse(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": request.get_full_path()})
    cookies.clear_access(response)
    return response


def _take(answer: Grant | Refusal, request: HttpRequest, exchange: Exchange) -> None:
    if isinstance(answer, Refusal):
        exchange.problem = problems.SESSION_ENDED
        exchange.bound = answer.bound
        # Nowhere else: of all requests that a page sends side by side, some answers come late.
        if not (_is_navigation(request) or is_auth_api(request)):
            return
        if answer.bound:
            # An access cookie that has ended hides from the browser that it should renew it.
            exchange.stale = cookies.read_access(request) is not None
        elif answer.definite:
            exchange.refuse()
    else:
        exchange.answer(answer)
        exchange.access, exchange.refreshed = answer.access, True


def _show_user(request: HttpRequest, exchange: Exchange) -> None:
    user: Any
    if exchange.access is None:
        user = SimpleLazyObject(lambda: _nobody(exchange))
    else:
        loaded = exchange.grant.user if exchange.grant else None
        user = LazyUser(exchange.access.subject, exchange.note_user_asked, loaded)
    request.user = user
    request.auser = partial(_auser, user)
    request.auth = exchange.access  # type: ignore[attr-defined]


async def _auser(user: Any) -> Any:
    await sync_to_async(str)(user)  # Loads the row, which an async view may not.
    return user


def _nobody(exchange: Exchange) -> AnonymousUser:
    exchange.note_user_asked()
    return AnonymousUser()


def _carry_out(request: HttpRequest, exchange: Exchange) -> Flow[None]:
    """Do what the view asked of `django.contrib.auth`: it has the last word on the cookies."""
    if exchange.signed_out:
        if exchange.access:
            session = RefreshToken.objects.filter(id=exchange.access.session_id)
            yield partial(end, session, RefreshToken.Reason.SIGNED_OUT, client=client_of(request))
        exchange.end()
    if exchange.signed_in is not None:
        remember = not request.session.get_expire_at_browser_close()
        user, client, mode = exchange.signed_in, client_of(request), token_settings().mode_of_pages
        exchange.answer((yield partial(open_session, user, client, mode=mode, remember=remember)))
    elif exchange.access and not exchange.signed_out and (session_hash := _session_hash(request)):
        yield partial(keeping.follow_password_change, exchange.access, session_hash, client_of(request))


def _session_hash(request: HttpRequest) -> str | None:
    """What Django's session says of the password, if the view has changed that session: no signal tells of it."""
    session = getattr(request, "session", None)
    return session.get(HASH_SESSION_KEY) if session is not None and session.modified else None


def _offer_to_bind(response: HttpResponseBase, grant: Grant) -> None:
    """Ask the browser that has just signed in to bind the session to a key of its own (`tokens.dbsc`)."""
    if binding.is_offered(grant.session) and (root := auth_api()):
        offered = binding.offer(grant.session, timezone.now())
        response[dbsc.REGISTRATION] = dbsc.registration_header(root + DEVICE_REGISTER, offered)


def _is_still_wanted(session: RefreshToken) -> bool:
    """Whether nobody signed in or out in this browser while the view ran; a late cookie must not undo that."""
    try:
        return keeping.is_still_wanted(session)
    except DATABASE_DOWN:
        return False  # Then the answer is lost, which the protocol forgives.


def _has_signed_in_anew(request: HttpRequest) -> bool:
    """Whether this browser has a living session by now, so that a late refusal of an older one must not clear it."""
    try:
        return keeping.has_live_session(client_of(request))
    except DATABASE_DOWN:
        return True  # What is not cleared now is cleared by the next refusal.


def _asks_to_sign_in(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether a view has refused who has not said who they are, by leading them to sign in or by 401.

    The auth API says by itself what is the matter, and its 401 may be a wrong password.
    """
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return not is_auth_api(request)
    query = urlsplit(response.get("Location", "")).query
    return 300 <= response.status_code < 400 and REDIRECT_FIELD_NAME in parse_qs(query)


def _is_navigation(request: HttpRequest) -> bool:
    """Whether a person is going to a page: told by the browser, or guessed for one that does not tell."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")
