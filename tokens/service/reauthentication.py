"""Reauthentication: a signed-in user proves again who they are, before a sensitive change (RFC 9470).

A refresh token that comes with it is answered as a refresh is, after the user has proved who they are. So it rotates if
a refresh would, and a token that proves a theft ends the session. The thief then does not profit from what the owner
has proved. Nothing rotates within the still time, without a refresh token, and if the session is bound to its device.
Without a refresh token, the new access token expires with the one of the request: nobody keeps a session in use by its
access tokens and a password.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.utils import timezone

from tokens.conf import token_settings
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import events, issuing, lifetimes, possession, refreshing, required_factors, users
from tokens.service.claims import claims_of
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import NOTHING, Proved, with_methods
from tokens.service.possession import Sent
from tokens.service.refreshing import ATTEMPTS, Refusal


def reauthenticate(
    user: Any,
    session_id: UUID,
    proved: Proved = NOTHING,
    client: Client | None = None,
    sent: Sequence[Sent] = (),
    *,
    generation: int | None = None,
    until: datetime | None = None,
    reopens: bool = False,
) -> IssuedTokens | None:
    """Record that the user has just authenticated again, and return a new access token. None: the session has ended.

    The methods that the user has ``proved`` are added to those of the session. Both its timeouts begin again. ``sent``
    are the refresh tokens of the request. The newest one of this session is answered as a refresh is.

    An idle session is reopened only by methods that are enough for that (`lifetimes.is_reopened_by`), and one that
    lacks a factor goes on only with one. ``reopens``: the client has no access token, and needs a refresh token too.

    If there is none, the access token is of ``generation``, and expires at the latest at ``until``. ``generation`` is
    known if the request has refreshed the session already. None: the token acknowledges nothing. Raise `UserChanged` if
    the user is not any more what they were when they authenticated, `ClaimsHookFailed` if the claims hook fails, and
    `OperationalError` if the database does not answer. Then nothing is written.
    """
    alias, client = writer(RefreshToken), client or Client()
    for _ in range(ATTEMPTS):
        with durable(alias):
            users.lock_authenticated(alias, user)
            rows = RefreshToken.objects.for_decision().unended().filter(id=session_id, user=user, actor=None)
            session = rows.first()
            if session is None:
                return None
            answer = _answer(session, proved, client, sent, generation, until, reopens=reopens)
            if isinstance(answer, Refusal):
                return None
            if answer is not None:
                kind = SecurityEvent.Kind.REAUTHENTICATED
                what = {"user_id": user.pk, "session_id": session.id, "device_id": session.device_id}
                events.write([events.new(kind, session.now, client, methods=proved, **what)])
                return answer
    raise OperationalError("a reauthentication lost every race for its row")


def _answer(
    session: RefreshToken,
    proved: Proved,
    client: Client,
    sent: Sequence[Sent],
    generation: int | None,
    until: datetime | None,
    *,
    reopens: bool,
) -> IssuedTokens | Refusal | None:
    """Write what the user has proved, and answer the refresh token. None: another request has changed the row."""
    now, is_idle = session.now, session.is_idle(session.now)
    methods = with_methods(session.methods, proved, now)
    is_enough = not is_idle or lifetimes.is_reopened_by(session, proved)
    if not is_enough or required_factors.lacks_factor(session, now, methods=methods):
        return refreshing.refuse("idle", session.id)
    reopens = reopens or is_idle
    # A factor may say that it was answered some time ago.
    at = now - min(proved.values(), default=timedelta())
    columns = {
        "authenticated_at": max(at, session.authenticated_at or at),
        "methods": methods,
        "idle_expires_at": lifetimes.idle_until(session, now, methods=methods),
        "expires_at": lifetimes.ends_at(session, now, methods=methods),
    }
    # The claims hook is given the session as it is going to be.
    for name, value in columns.items():
        setattr(session, name, value)
    presented = _newest(session, sent)
    if presented is not None:
        answer = refreshing.carry_out(session, presented, client, **columns)
        if reopens or not (isinstance(answer, Refusal) and answer.late):
            return answer
    elif reopens:
        return refreshing.refuse("idle", session.id)
    # In the transaction: a claims hook that fails must not leave the new time behind.
    claims = claims_of(session.user, session)
    if not refreshing.write(session.unchanged(), session, columns):
        return None
    until = until if presented is None else None
    text, access = issuing.access_token(session, session.user, generation, now, until=until, claims=claims)
    return IssuedTokens(session, session.user, access, text)


def _newest(session: RefreshToken, sent: Iterable[Sent]) -> refresh_tokens.RefreshToken | None:
    """Return the newest one of these refresh tokens that is one of the session, or None."""
    found = [possession.token_of(session, text, modes, old_name=old_name) for text, modes, old_name in sent]
    return max(filter(None, found), key=lambda token: token.generation, default=None)


def is_recent(access: AccessToken) -> bool:
    """Return whether the user authenticated recently enough for a sensitive change (REAUTHENTICATION_AGE).

    In an impersonation the user has not authenticated at all.
    """
    if access.authenticated_at is None or access.actor is not None:
        return False
    return timezone.now() - instant(access.authenticated_at) <= token_settings().reauthentication_age
