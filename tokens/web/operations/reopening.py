"""Reopens a session when its user has proved a factor. Such a session is idle (LIFETIMES), or lacks a factor.

REQUIRED_FACTORS says who needs a factor. A password does not reopen a session that lacks one: it begins a pending
sign-in, whose next step reopens the session.
"""

from contextlib import suppress
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.service import reauthentication, reopening, required_factors, trust
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved, with_methods
from tokens.service.users import UserChanged
from tokens.web import methods, possession, sign_in_policy
from tokens.web.exchange import exchange_of, required_exchange
from tokens.web.http.client import client_of
from tokens.web.operations import admission
from tokens.web.operations.admission import SessionToOpen
from tokens.web.request_user import set_user


def idle_user(request: HttpRequest) -> Any:
    """Return the user whose idle session this request can reopen by its refresh token and a factor, or None.

    The user is not signed in. `reopen` reopens the session when the user has authenticated.
    """
    exchange = exchange_of(request)
    return exchange.reopenable.user if exchange is not None and exchange.reopenable is not None else None


def idle_lacks_factor(request: HttpRequest) -> bool:
    """Return whether that session is not idle, and only lacks a factor."""
    exchange = exchange_of(request)
    return (
        exchange is not None
        and exchange.reopenable is not None
        and not exchange.reopenable.is_idle(exchange.reopenable.now)
    )


def lacks_factor(session: RefreshToken) -> bool:
    """Return whether a session in a list lacks a factor that its user needs. It is asked for it at its next refresh."""
    return required_factors.lacks_factor(session, timezone.now())


def reopen(request: HttpRequest, user: Any) -> IssuedTokens | None:
    """Reopen the idle session of this request for its user, who has just authenticated. The response has its tokens.

    Return None, and do nothing, if the request has no refresh token of an idle session of this user. If the session
    lacks a factor, and the user has not proved one, raise `FactorRequired`: the next step of this sign-in reopens it.
    """
    exchange = required_exchange(request)
    idle = exchange.reopenable
    if idle is None or idle.user_id != user.pk:
        return None
    proved = methods.of_sign_in(request, user)
    if required_factors.lacks_factor(idle, idle.now, methods=with_methods(idle.methods, proved, idle.now)):
        with admission.noting_refusal(exchange, SessionToOpen(user, proved, idle.mode, idle.remember)):
            sign_in_policy.admit(request, user, proved)
    with suppress(UserChanged):
        return _reopen(request, idle, user, proved)
    return None


def instead(request: HttpRequest, to_open: SessionToOpen, *, trusts: bool) -> IssuedTokens | None:
    """Reopen the session of this request that lacks a factor, in the place of opening a new one.

    Its storage mode must be that of the sign-in, and it must be remembered if the sign-in is. The user is locked.
    ``trusts``: its device is trusted from now on. The response has the tokens of the session. None: there is no such
    session.
    """
    if token_settings().requires_factor is None:
        return None
    for text, modes, *_ in possession.sent(request):
        idle = reopening.reopenable_session(text, modes)
        is_same = idle is not None and idle.user_id == to_open.user.pk and idle.mode == to_open.mode
        if idle is not None and is_same and (idle.remember or not to_open.remember):
            if trusts:
                trust.begin(idle.device, to_open.user, idle.now)  # Before the session is locked.
            return _reopen(request, idle, to_open.user, to_open.proved)
    return None


def _reopen(request: HttpRequest, idle: RefreshToken, user: Any, proved: Proved) -> IssuedTokens | None:
    sent = possession.sent(request)
    issued = reauthentication.reauthenticate(user, idle.id, proved, client_of(request), sent, reopens=True)
    if issued is not None:
        exchange = required_exchange(request)
        exchange.issue(issued)
        exchange.reopenable, exchange.access = None, issued.access
        set_user(request, exchange)  # The rest of the view sees who it is, as after a sign-in.
    return issued
