"""Ends the sessions that a request names, whatever it names them with."""

from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from django.http import HttpRequest

from tokens.conf import codec
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.service import refreshing, revocation
from tokens.web import possession
from tokens.web.django import session_data
from tokens.web.exchange import Exchange, current_id, exchange_of, required_exchange
from tokens.web.http import cookies
from tokens.web.http.bearer import bearer_token
from tokens.web.http.client import client_of
from tokens.web.http.cookies import Presented
from tokens.web.http.origins import is_cross_origin, is_unsafe


def sign_out(request: HttpRequest, exchange: Exchange) -> None:
    """End the session of this request, if there is one. The response deletes the cookies.

    The session goes on if the request has only an access token for services, because services must not sign users out.
    An access token that has expired within `revocation.SIGNS_OUT_FOR` ends its session too, because in mode ``scoped``
    a page gets no refresh token.
    """
    if exchange.access is not None:
        end_own(request, exchange)
    elif is_unsafe(request) and is_cross_origin(request):
        pass  # With an access token that is valid, such a request would not have reached the view.
    elif (named := _named_by_access(request)) and not named.is_too_old:
        revocation.sign_out(named.session_id, client_of(request), is_held=False)
    exchange.sign_out()


def end_own(request: HttpRequest, exchange: Exchange) -> bool:
    """End the session of this request, and return whether the request may end it."""
    access, is_held = exchange.access, possession.has_refresh_token(request)
    if access is None or not revocation.may_sign_out(access, is_held=is_held):
        return False
    revocation.sign_out(access.session_id, client_of(request), is_held=is_held)
    return True


class _Named(NamedTuple):
    session_id: UUID
    is_too_old: bool


def _named_by_access(request: HttpRequest) -> _Named | None:
    """Return which session the access token of a request names, and whether it expired too long ago to end it.

    One for services names none, because services must not sign users out.
    """
    with suppress(InvalidAccessToken):
        exchange = exchange_of(request)  # A test's client signs out without the middleware.
        by_bearer = exchange is not None and exchange.by_bearer
        token = codec().loads_expired((bearer_token(request) if by_bearer else cookies.read_access(request)) or "")
        if revocation.may_sign_out(token):
            return _Named(token.session_id, revocation.is_too_old(token))
    return None


def _is_own(request: HttpRequest, session_id: UUID) -> bool:
    """Return whether this is the session of the request, and the client holds it."""
    return current_id(request) == session_id and possession.has_refresh_token(request)


def sign_out_presented(request: HttpRequest, presented: Presented | None) -> bool:
    """End the sessions that a request names. The response deletes the cookies.

    A session is named by a refresh token of any generation, or by an access token that has not expired more than
    `revocation.SIGNS_OUT_FOR` ago. The session of the request ends too if only Django's session names it. Return False
    if a session goes on because only an older access token names it.
    """
    exchange = required_exchange(request)
    ended, is_sure = _end_presented(request, presented)
    if exchange.access is not None and exchange.access.session_id not in ended:
        end_own(request, exchange)
    exchange.sign_out()
    return is_sure


def sign_out_outside(request: HttpRequest) -> None:
    """End the sessions that a request names, which our middleware has not seen yet, or does not see any more.

    Our cookies stay. The next request with them finds that the session has ended.
    """
    if not hasattr(request, "META") or (is_unsafe(request) and is_cross_origin(request)):
        return
    end_opened(request)
    _end_presented(request, cookies.read_refresh(request))


def end_opened(request: HttpRequest) -> None:
    """End the session that was opened for the sign-in in Django's session, if there is one."""
    if session_id := session_data.opened(request):
        revocation.sign_out(session_id, client_of(request), is_held=False)


def _end_presented(request: HttpRequest, presented: Presented | None) -> tuple[Collection[UUID], bool]:
    """End the sessions that the tokens of a request name. Return their ids, and whether no old token names another."""
    named: dict[UUID, bool] = {}
    if presented:
        text = refreshing.choose_by_device([presented.text, *(presented.others or ())], client_of(request))
        if session_id := refreshing.presented_session(text, presented.modes):
            named[session_id] = True
    by_access = _named_by_access(request)
    if by_access and not by_access.is_too_old:
        named.setdefault(by_access.session_id, _is_own(request, by_access.session_id))
    for session_id, is_held in named.items():
        revocation.sign_out(session_id, client_of(request), is_held=is_held)
    return named.keys(), by_access is None or bool(named)
