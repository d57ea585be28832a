"""Sets and deletes the cookies of the response, after the view."""

from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_cache_control

from tokens import metrics
from tokens.models import RefreshToken
from tokens.protocol import dbsc
from tokens.service import binding, queries
from tokens.service.issuing import IssuedTokens
from tokens.web import after_view
from tokens.web.django import django_session, withheld_session
from tokens.web.exchange import Clear, Exchange
from tokens.web.flow import Flow
from tokens.web.http import claim_cookie, cookies, pending_cookie, problems
from tokens.web.http.bearer import bearer_token
from tokens.web.http.client import client_of
from tokens.web.http.paths import DEVICE_REGISTER, auth_api, is_auth_api, is_followed_by_cookies, is_navigation
from tokens.web.http.problems import DATABASE_DOWN
from tokens.web.incoming import Arrival
from tokens.web.operations import refusals

BRIEF = 1
"""Seconds in which a user does not sign in or out, after they have sent a request."""


def is_needed(request: HttpRequest, exchange: Exchange, arrival: Arrival) -> bool:
    """Return whether `finish` has anything to do."""
    return (
        exchange.is_unfinished or arrival.is_stale or claim_cookie.is_there(request) or django_session.is_saved(request)
    )


def finish(
    request: HttpRequest, exchange: Exchange, arrival: Arrival, response: HttpResponseBase
) -> Flow[HttpResponseBase]:
    """Carry out the view's sign-in or sign-out, set or delete the cookies, and return the response.

    If the response is an error of the server, no sign-in is carried out. Django does not save its session then either.
    """
    try:
        if exchange.refused is not None:
            response = yield partial(refusals.answer, request, exchange, response)
        if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            yield from after_view.carry_out(request, exchange)
        else:
            yield from after_view.carry_out_after_error(request, exchange)
    except DATABASE_DOWN:
        if exchange.session_replaced:
            withheld_session.keep_cookie(request)
        return problems.respond(request, problems.UNAVAILABLE)
    if exchange.skipped and exchange.issued is None and _asks_to_sign_in(request, response):
        response = problems.respond(request, problems.UNAVAILABLE)
    asks = _asks_whether_signed_in(request, exchange, response)
    has_signed_in = asks and (yield partial(_has_signed_in, request))
    issued = exchange.issued
    if issued and _may_be_outdated(exchange, issued) and not (yield partial(_is_still_current, issued.session)):
        issued = None
    if issued:
        _set_cookies(request, response, issued, exchange)
    elif exchange.clear and not (exchange.clear is Clear.REJECTED and has_signed_in):
        cookies.clear(request, response)
    else:
        if exchange.bound and (yield partial(_is_still_current, exchange.bound)):
            cookies.clear_refresh(request, response, exchange.bound)
        if arrival.is_stale:
            cookies.clear_access(request, response)
    if exchange.access is not None and exchange.clear is None and claim_cookie.is_there(request):
        yield partial(_answer_claim, request, response, exchange)
    if django_session.is_saved(request) or exchange.session_replaced:
        is_cookie_kept = not asks or has_signed_in
        yield partial(_finish_django_session, request, exchange, arrival, is_cookie_kept=is_cookie_kept)
    return response


def describe_audience(
    request: HttpRequest, exchange: Exchange, arrival: Arrival, response: HttpResponseBase
) -> HttpResponseBase:
    """Add ``Vary`` and ``Cache-Control``, and return the response. The exchange is over then.

    This depends on whether the view has asked who is asking. A view can also read a Bearer token by itself.
    """
    exchange.is_over = True
    is_bearer = "HTTP_AUTHORIZATION" in request.META and bearer_token(request) is not None
    if exchange.user_asked or is_bearer:
        cookies.vary(response)
        if arrival.from_other_origin:
            cookies.keep_private(response)  # With the same cookies, a request of our own origin is refreshed.
        elif not response.has_header("Cache-Control"):
            if exchange.access or is_bearer or exchange.by_session:
                # For cookies there is no rule like that for Authorization, and not every cache respects Vary.
                response["Cache-Control"] = "private"
        elif is_bearer and "public" not in response["Cache-Control"].lower().replace(" ", "").split(","):
            # Without it ``must-revalidate`` and ``s-maxage`` allow shared caches to store the response to a request
            # with Authorization (RFC 9111 section 3.5).
            patch_cache_control(response, private=True)
    return response


def _may_be_outdated(exchange: Exchange, issued: IssuedTokens) -> bool:
    """Return whether somebody may have signed in or out in this browser since the middleware got these tokens.

    A response that carries the access token of Django's session is not examined if it took less than `BRIEF` seconds.
    """
    return exchange.issued_before_view and not (issued.is_from_django and exchange.seconds < BRIEF)


def _asks_whether_signed_in(request: HttpRequest, exchange: Exchange, response: HttpResponseBase) -> bool:
    """Return whether cookies are to be deleted unless the browser has signed in meanwhile."""
    if exchange.clear is Clear.REJECTED:
        return True
    has_lost_session = exchange.session_deleted and exchange.access is None
    is_throttled = response.status_code == HTTPStatus.TOO_MANY_REQUESTS  # It changes no cookie.
    return has_lost_session and not is_throttled and (is_navigation(request) or is_auth_api(request))


def _finish_django_session(request: HttpRequest, exchange: Exchange, arrival: Arrival, *, is_cookie_kept: bool) -> None:
    """Keep the cookie of a session that was replaced, unless it has to be deleted. Then settle what is saved.

    ``is_cookie_kept`` says whether the cookie of a session that has ended is kept.
    """
    if arrival.from_other_origin and exchange.issued is None:
        # The user's own session would be lost, also if the view has only noted something for a stranger.
        withheld_session.keep_cookie(request, unless_modified=False)
        return
    if exchange.session_replaced:
        is_wrong = exchange.session_deleted and (
            exchange.access is not None
            # Django would not find the row that it is to save.
            or settings.SESSION_SAVE_EVERY_REQUEST
            or not is_cookie_kept
        )
        if not is_wrong:
            withheld_session.keep_cookie(request)
    if django_session.is_saved(request):
        django_session.prepare_saving(request, exchange)


def _set_cookies(request: HttpRequest, response: HttpResponseBase, issued: IssuedTokens, exchange: Exchange) -> None:
    cookies.set_tokens(request, response, issued, partial(client_of, request, exchange.device_token), timezone.now())
    if issued.is_new or (exchange.pending_session is not None and not exchange.issued_before_view):
        pending_cookie.clear(request, response)
    if issued.is_new:
        _offer_binding(response, issued)
        metrics.SIGN_IN_SECONDS.labels("signed_in").observe(exchange.seconds)


def _offer_binding(response: HttpResponseBase, issued: IssuedTokens) -> None:
    """Offer the browser that has just signed in to bind the session to a key of its device, if it has got a token."""
    if issued.refresh_token and binding.is_offered(issued.session):
        _set_offer(response, binding.offer(issued.session.id, timezone.now()))


def _answer_claim(request: HttpRequest, response: HttpResponseBase, exchange: Exchange) -> None:
    """Offer the browser again to bind its session, if its registration was refused for the missing refresh token.

    A response to a request of another site is passed over, because after it the browser would send no cookies again.
    """
    access, claim = exchange.access, claim_cookie.text_of(request)
    if access is None or exchange.by_bearer or not is_followed_by_cookies(request):
        return
    if claim is not None and not response.has_header(dbsc.REGISTRATION):
        now = timezone.now()
        # A session that has a key already gets no other one, and has an access token without a generation.
        if access.generation is not None and binding.is_claim(claim, access.session_id, now):
            offered = binding.offer_again(access.session_id, now)
            if offered is None:
                return
            _set_offer(response, offered)
    claim_cookie.clear(response)


def _set_offer(response: HttpResponseBase, offered: dbsc.Offer) -> None:
    if root := auth_api():
        response[dbsc.REGISTRATION] = dbsc.registration_header(root + DEVICE_REGISTER, offered)


def _is_still_current(session: RefreshToken) -> bool:
    """Return whether nobody signed in or out in this browser while the view ran. A late cookie must not undo that."""
    try:
        return queries.is_still_current(session)
    except DATABASE_DOWN:
        return False  # The tokens are then lost, and the client recovers with its refresh token.


def _has_signed_in(request: HttpRequest) -> bool:
    """Return whether this browser has a live session by now. Its cookies must not be deleted for an older session."""
    try:
        return queries.has_live_session(client_of(request))
    except DATABASE_DOWN:
        return True  # If the session has ended, the next rejection deletes its cookies.


def _asks_to_sign_in(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether the response asks an anonymous user to sign in, by a redirect or by 401.

    The auth API is left out. It says by itself what is wrong, and its 401 may mean a wrong password.
    """
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return not is_auth_api(request)
    query = urlsplit(response.get("Location", "")).query
    return 300 <= response.status_code < 400 and REDIRECT_FIELD_NAME in parse_qs(query)
