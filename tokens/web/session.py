"""What views do with the session of their request: open it, refresh it, reauthenticate, end it.

`tokens.web.outgoing` does the same after views of Django's own. Each function calls `tokens.service`, and notes on the
exchange what the response's cookies become.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from tokens.conf import BODY, codec, token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import InvalidAccessToken
from tokens.protocol.rotation import Decision
from tokens.service import devices, opening, queries, reauthentication, refreshing, revocation, throttles
from tokens.service.client import network
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal
from tokens.service.throttles import Tally
from tokens.web import cookies
from tokens.web.client import client_of
from tokens.web.cookies import Presented
from tokens.web.exchange import Exchange, exchange_of, required_exchange
from tokens.web.incoming import bearer_token

IN_BODY = frozenset({BODY})
"""The storage mode of a session whose refresh token comes in a request's body."""


def open_session(request: HttpRequest, user: Any, *, mode: str, remember: bool, device_name: str = "") -> IssuedTokens:
    """Open a session for a user who has just authenticated. The response carries its tokens."""
    exchange = required_exchange(request)
    client = client_of(request, exchange.device_token)
    issued = opening.open_session(user, client, mode=mode, remember=remember, device_name=device_name)
    exchange.issue(issued)
    return issued


def open_for_page(request: HttpRequest, user: Any) -> None:
    """Open a session for a user whom a view has signed in with `django.contrib.auth.login`."""
    remember = not request.session.get_expire_at_browser_close()
    mode = token_settings().mode_of_pages
    required_exchange(request).issue(opening.open_session(user, client_of(request), mode=mode, remember=remember))


def refresh(request: HttpRequest, presented: Presented) -> IssuedTokens | Refusal:
    """Refresh a session by its refresh token. Raise `Throttled` after too many rejections or repetitions.

    A rotation is not throttled. Rejections and repetitions are, because an honest client seldom needs them.
    """
    exchange, client = required_exchange(request), client_of(request)
    answer = refreshing.refresh(presented.text, presented.modes, client)
    if isinstance(answer, IssuedTokens):
        if answer.decision is Decision.REPEAT:
            throttles.take(Tally("refresh_session", str(answer.session.id)))
        exchange.issue(answer)
        return answer
    if client_network := network(client.ip):
        throttles.take(Tally("refresh_network", client_network))
    if answer.bound:
        exchange.bound = answer.bound
    elif answer.definite and presented.modes != IN_BODY:
        exchange.reject()
    return answer


def reauthenticate(request: HttpRequest, user: Any) -> IssuedTokens | None:
    """Record that the user has just authenticated again. The response carries an access token that says so.

    Return None, and do nothing, if the session of this request has ended.
    """
    session_id = current_id(request)
    issued = reauthentication.reauthenticate(user, session_id) if session_id is not None else None
    if issued is not None:
        required_exchange(request).issue(issued)
    return issued


def revoke(request: HttpRequest, session_id: UUID) -> None:
    """End one of the user's sessions. If it is the one of this request, the response deletes the cookies."""
    is_current = session_id == current_id(request)
    reason = RefreshToken.Reason.SIGNED_OUT if is_current else RefreshToken.Reason.ENDED_BY_USER
    revocation.revoke(RefreshToken.objects.filter(id=session_id), reason, client=client_of(request))
    if is_current:
        required_exchange(request).sign_out()


def sign_out_elsewhere(request: HttpRequest) -> None:
    """End all sessions of the user except the one of this request, and forget the user's other devices."""
    session_id = current_id(request)
    devices.forget_others(request.user, client_of(request), session_id)
    others = queries.live_sessions(request.user)
    others = others.exclude(id=session_id) if session_id is not None else others
    revocation.revoke_all(others, RefreshToken.Reason.ENDED_BY_USER, client=client_of(request))


def sign_out(request: HttpRequest, exchange: Exchange) -> None:
    """End the session of this request, if there is one. The response deletes the cookies."""
    if exchange.access:
        sessions = RefreshToken.objects.filter(id=exchange.access.session_id)
        revocation.revoke(sessions, RefreshToken.Reason.SIGNED_OUT, client=client_of(request))
    exchange.sign_out()


def sign_out_presented(request: HttpRequest, presented: Presented | None) -> None:
    """End the sessions that a request names. The response deletes the cookies.

    A session is named by a refresh token of any generation, or by an access token, even an expired one.
    """
    session_ids: set[UUID] = set()
    if presented and (session_id := refreshing.presented_session(presented.text, presented.modes)):
        session_ids.add(session_id)
    if access := bearer_token(request) or cookies.read_access(request):
        with suppress(InvalidAccessToken):
            session_ids.add(codec().loads_expired(access).session_id)
    for session_id in session_ids:
        sessions = RefreshToken.objects.filter(id=session_id)
        revocation.revoke(sessions, RefreshToken.Reason.SIGNED_OUT, client=client_of(request))
    required_exchange(request).sign_out()


def current_id(request: Any) -> UUID | None:
    """Return the id of the session that this request was authenticated with, or None."""
    exchange = exchange_of(request)
    return exchange.access.session_id if exchange is not None and exchange.access is not None else None
