"""What views do with the session of their request: open it, refresh it, reauthenticate, end it.

`tokens.web.after_view` does the same after views of Django's own. Each function calls `tokens.service`, and notes on
the exchange what the response's cookies become.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Unpack
from uuid import UUID

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from tokens.conf import BODY
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import instant
from tokens.service import devices, queries, reauthentication, refreshing, user_changes, users
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import Proved
from tokens.service.refreshing import Refusal
from tokens.service.users import SessionEnded, UserChanged
from tokens.web import methods, possession, sign_in_policy
from tokens.web.django import django_session, session_data, withheld_session
from tokens.web.django.session_cookie import is_replaced
from tokens.web.exchange import current_id, exchange_of, refuse_impersonation, required_exchange
from tokens.web.http.client import client_of, presenting_client
from tokens.web.http.cookies import Presented
from tokens.web.http.origins import is_cross_origin, is_unsafe
from tokens.web.operations import admission, reopenable
from tokens.web.operations.admission import SessionToOpen
from tokens.web.operations.signing_out import end_own
from tokens.web.possession import IN_BODY, Proof


def open_session(request: HttpRequest, user: Any, *, mode: str, remember: bool, device_name: str = "") -> IssuedTokens:
    """Open a session for a user who has just authenticated. The response carries its tokens.

    Raise `SignInRefused` unless the policy admits the user. The response then says why, or what else is needed.
    """
    exchange = required_exchange(request)
    proved = methods.of_sign_in(request, user)
    with admission.noting_refusal(exchange, SessionToOpen(user, proved, mode, remember, device_name)):
        admitted = sign_in_policy.admit(request, user, proved)
    client = client_of(request, exchange.device_token)
    issued = sign_in_policy.open_admitted(admitted, client, mode=mode, remember=remember, device_name=device_name)
    sign_in(request, user, issued)
    return issued


def sign_in(request: HttpRequest, user: Any, issued: IssuedTokens, backend: str | None = None) -> None:
    """Let the response carry the tokens of a session that was opened for a sign-in.

    Django's session gets the sign-in too. In mode ``body`` it stays as it is, like all cookies.
    """
    exchange = required_exchange(request)
    exchange.issue(issued)
    withheld_session.restore(request, exchange, user)
    # The receiver of Django's signal opens no second session.
    if issued.session.mode == BODY:
        request.user = user  # As `login` does: receivers of the signal see who has signed in.
        user_logged_in.send(sender=type(user), request=request, user=user)
    else:
        login(request, user, backend)
        # Django's session ends with the browser if ours does, whatever SESSION_EXPIRE_AT_BROWSER_CLOSE says.
        request.session.set_expiry(settings.SESSION_COOKIE_AGE if issued.session.remember else 0)


def refresh(request: HttpRequest, presented: Presented) -> IssuedTokens | Refusal:
    """Refresh a session by its refresh token. Raise `Throttled` after too many rejections or repetitions."""
    exchange, client = required_exchange(request), client_of(request)
    text, modes, old_name, others = presented
    answer = refreshing.refresh(text, modes, client, old_name=old_name, others=others)
    refreshing.throttle(answer, client)
    if isinstance(answer, IssuedTokens):
        exchange.issue(answer)
        return answer
    if answer.bound:
        exchange.bound = answer.bound
    elif answer.definite and presented.modes != IN_BODY:
        exchange.reject()
        exchange.has_ended = True
        if django_session.may_have_another_user(request, exchange.access):
            django_session.examine(request, exchange, may_open=False)
    return answer


def refresh_by_django_session(request: HttpRequest) -> IssuedTokens | None:
    """Refresh a session by Django's session, if that stands for its refresh token. None: it does not.

    It does not if the client has an access token of a later generation, which came with a refresh token. Nor does a
    session that another middleware has put on the request. Raise `Throttled` as `refresh` does.
    """
    exchange, named = required_exchange(request), session_data.opened(request)
    if named is None or is_replaced(request) or (is_unsafe(request) and is_cross_origin(request)):
        return None
    access, before = exchange.access, exchange.issued
    if before is not None and exchange.issued_before_view and before.session.id == named and before.refresh_token:
        return before  # The middleware has done it already.
    is_first = access is None or (access.session_id == named and access.generation == 0)
    if not session_data.stands_for_refresh_token(request, named) and not (
        is_first and session_data.may_be_lost(request.session)
    ):
        return None
    answer = django_session.refresh_by_django_session(request)
    refreshing.throttle(answer, client_of(request))
    if isinstance(answer, IssuedTokens):
        exchange.issue(answer)
        return answer
    if answer.definite and not answer.bound:
        exchange.reject()
        exchange.has_ended = True
    return None


def reauthenticate(request: HttpRequest, user: Any) -> IssuedTokens | None:
    """Record that the user has just authenticated again. The response carries an access token that says so.

    Return None, and do nothing, if the session of this request has ended, or the user is not any more what they were
    when they authenticated. Raise `ImpersonationRefused` in an impersonation. If the session lacks a factor
    (REQUIRED_FACTORS), and the user has not proved one, raise `FactorRequired`: a pending sign-in begins.
    """
    refuse_impersonation(request)
    proved = methods.of_sign_in(request, user)
    issued = _reauthenticate(request, user, proved)
    if issued is None and (lacking := reopenable.session_of(request)) is not None and lacking.user_id == user.pk:
        with admission.noting_refusal(
            required_exchange(request), SessionToOpen(user, proved, lacking.mode, lacking.remember)
        ):
            sign_in_policy.admit(request, user, proved)
    return issued


def add_methods(request: HttpRequest, proved: Proved) -> bool:
    """Add authentication methods to the session of this request, or to the one that the response opens.

    Return False, and do nothing, if there is none. Raise `ImpersonationRefused` in an impersonation.
    """
    exchange = required_exchange(request)
    if exchange.signed_in is not None:
        exchange.proved = {**exchange.proved, **proved}
        return True
    refuse_impersonation(request)
    return _reauthenticate(request, request.user, proved) is not None


def _reauthenticate(request: HttpRequest, user: Any, proved: Proved) -> IssuedTokens | None:
    exchange = exchange_of(request)
    opened = exchange.issued if exchange is not None and exchange.is_opened_by_view else None
    session_id, issued = current_id(request) if opened is None else opened.session.id, None
    if session_id is not None:
        before = exchange.issued if exchange is not None else None
        # A session that was opened or refreshed in this request does not rotate once more.
        is_fresh = before is not None and before.session.id == session_id
        sent = [] if is_fresh else possession.sent(request)
        generation = before.access.generation if is_fresh and before and not before.is_from_django else None
        access = before.access if is_fresh and before else exchange and exchange.access
        until = instant(access.expires_at) if access else None
        with suppress(UserChanged):
            issued = reauthentication.reauthenticate(
                user, session_id, proved, presenting_client(request), sent, generation=generation, until=until
            )
    if issued is not None:
        # What the client needs of a new session stays.
        if opened is not None:
            issued = replace(opened, session=issued.session, access=issued.access, access_token=issued.access_token)
        required_exchange(request).issue(issued)
    return issued


@contextmanager
def change_account(request: HttpRequest, **proof: Unpack[Proof]) -> Iterator[Any]:
    """A transaction in which the user of this request may change their account. Yield the user.

    The user, their devices and their live sessions are locked, and the request's session is checked. Raise
    `SessionEnded` if the session has ended, and `ImpersonationRefused` in an impersonation. Raise
    `RefreshTokenRequired` if the request has an access token only (`tokens.web.possession`). The commit waits for the
    disk.
    """
    refuse_impersonation(request)
    alias, session_id = writer(RefreshToken), current_id(request)
    if session_id is None:
        raise SessionEnded
    with durable(alias):
        user, own = users.lock_signed_in(alias, request.user.pk, session_id)
        possession.require(request, own, user, **proof)
        yield user


def revoke(request: HttpRequest, session_id: UUID, **proof: Unpack[Proof]) -> None:
    """End one of the user's sessions. If it is the one of this request, the response deletes the cookies.

    Raise what `change_account` raises, also `ImpersonationRefused`, unless it is the one of this request. Also raise it
    for that one if the request has only an access token for services.
    """
    exchange, is_own = required_exchange(request), session_id == current_id(request)
    if not (is_own and end_own(request, exchange)):
        with change_account(request, **proof) as user:
            user_changes.end_one(user, session_id, client_of(request))
    if is_own:
        exchange.sign_out()
        request.session.flush()


def sign_out_elsewhere(request: HttpRequest, **proof: Unpack[Proof]) -> None:
    """End all sessions of the user except the one of this request, and forget the user's other devices.

    Raise what `change_account` raises, also `ImpersonationRefused`.
    """
    session_id: Any = current_id(request)
    with change_account(request, **proof) as user:
        user_changes.end_elsewhere(user, session_id, client_of(request))


def rename_device(request: HttpRequest, row: RefreshToken, name: str, **proof: Unpack[Proof]) -> None:
    """Set the name of the device of one of the user's sessions. Raise what `change_account` raises.

    Raise `ImpersonationRefused` for the session of an actor, because the device is the actor's.
    """
    if row.actor_id is not None:
        raise ImpersonationRefused
    with change_account(request, **proof):
        devices.rename(row, name)


def is_live(request: HttpRequest) -> bool:
    """Return whether the user is signed in according to the database.

    ``request.user`` relies on the access token, which can outlive its session and its user.
    """
    session_id = current_id(request)
    return (
        session_id is not None
        and request.user.is_active
        and queries.live_sessions(request.user).live().filter(id=session_id).exists()
        and not queries.lacks_factor(session_id)
    )
