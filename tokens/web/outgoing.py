"""Sets and deletes the cookies of the response, after the view."""

from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from django.contrib.auth import HASH_SESSION_KEY, REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from tokens import metrics
from tokens.models import RefreshToken
from tokens.protocol import dbsc
from tokens.service import binding, queries
from tokens.service.issuing import IssuedTokens
from tokens.web import cookies, problems, session
from tokens.web.client import client_of
from tokens.web.exchange import Clear, Exchange
from tokens.web.flow import Flow
from tokens.web.incoming import Arrival
from tokens.web.paths import DEVICE_REGISTER, auth_api, is_auth_api
from tokens.web.problems import DATABASE_DOWN


def is_needed(request: HttpRequest, exchange: Exchange, arrival: Arrival) -> bool:
    """Return whether `finish` has anything to do."""
    return exchange.is_unfinished or arrival.is_stale or _session_hash(request) is not None


def finish(
    request: HttpRequest, exchange: Exchange, arrival: Arrival, response: HttpResponseBase
) -> Flow[HttpResponseBase]:
    """Carry out the view's sign-in or sign-out, set or delete the cookies, and return the response."""
    try:
        yield from _carry_out(request, exchange)
    except DATABASE_DOWN:
        return problems.respond(request, problems.UNAVAILABLE)
    if exchange.skipped and exchange.issued is None and _asks_to_sign_in(request, response):
        response = problems.respond(request, problems.UNAVAILABLE)
    issued = exchange.issued
    if issued and exchange.issued_before_view and not (yield partial(_is_still_current, issued.session)):
        issued = None
    if issued:
        _set_cookies(request, response, issued, exchange)
    elif exchange.clear and not (exchange.clear is Clear.REJECTED and (yield partial(_has_signed_in, request))):
        cookies.clear(request, response)
    else:
        if exchange.bound and (yield partial(_is_still_current, exchange.bound)):
            cookies.clear_refresh(request, response, exchange.bound)
        if arrival.is_stale:
            cookies.clear_access(request, response)
    return response


def describe_audience(response: HttpResponseBase, exchange: Exchange) -> HttpResponseBase:
    """Add ``Vary`` and ``Cache-Control`` if the view has asked who is asking, and return the response."""
    if exchange.user_asked:
        cookies.vary(response)
        if exchange.access and not response.has_header("Cache-Control"):
            # Shared caches do not store responses to requests with Authorization (RFC 9111 section 3.5). For cookies
            # there is no such rule, and not every cache respects Vary.
            response["Cache-Control"] = "private"
    return response


def _carry_out(request: HttpRequest, exchange: Exchange) -> Flow[None]:
    """Carry out what the view has asked of `django.contrib.auth`. It takes precedence over the middleware's tokens."""
    if exchange.signed_out:
        yield partial(session.sign_out, request, exchange)
    if exchange.signed_in is not None:
        yield partial(session.open_for_page, request, exchange.signed_in)
    elif exchange.access and not exchange.signed_out and (session_hash := _session_hash(request)):
        yield partial(session.follow_password_change, request, exchange.access, session_hash)


def _session_hash(request: HttpRequest) -> str | None:
    """Return the session auth hash in Django's session, if the view has changed that session.

    Django sends no signal when a view changes a password, but `update_session_auth_hash` writes this value.
    """
    found = getattr(request, "session", None)
    return found.get(HASH_SESSION_KEY) if found is not None and found.modified else None


def _set_cookies(request: HttpRequest, response: HttpResponseBase, issued: IssuedTokens, exchange: Exchange) -> None:
    cookies.set_tokens(request, response, issued, client_of(request, exchange.device_token), timezone.now())
    if issued.is_new:
        _offer_binding(response, issued)
        metrics.SIGN_IN_SECONDS.labels("signed_in").observe(exchange.seconds)


def _offer_binding(response: HttpResponseBase, issued: IssuedTokens) -> None:
    """Offer the browser that has just signed in to bind the session to a key of its device."""
    if binding.is_offered(issued.session) and (root := auth_api()):
        offered = binding.offer(issued.session, timezone.now())
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
