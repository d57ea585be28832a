"""Reauthentication: a signed-in user proves again who they are, before a sensitive change (RFC 9470)."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from tokens.conf import token_settings
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import events, issuing, lifetimes, users
from tokens.service.claims import claims_of
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import NOTHING, Proved, with_methods


def reauthenticate(
    user: Any, session_id: UUID, proved: Proved = NOTHING, client: Client | None = None
) -> IssuedTokens | None:
    """Record that the user has just authenticated again, and return a new access token. None: the session has ended.

    The methods that the user has ``proved`` are added to those of the session. Both its timeouts begin again.

    The access token names no generation. It was issued without a refresh, so its use acknowledges nothing. Raise
    `UserChanged` if the user is not any more what they were when they authenticated, and `ClaimsHookFailed` if the
    claims hook fails. Then nothing is written.
    """
    alias = writer(RefreshToken)
    with durable(alias):
        users.lock_authenticated(alias, user)
        rows = RefreshToken.objects.for_decision().live().filter(id=session_id, user=user, actor=None)
        session = rows.select_for_update(of=("self",)).first()
        if session is None:
            return None
        methods = with_methods(session.methods, proved, session.now)
        session.idle_expires_at = lifetimes.idle_until(session, session.now, methods=methods)
        session.expires_at = lifetimes.ends_at(session, session.now, methods=methods)
        session.authenticated_at, session.methods = session.now, methods
        # In the transaction: a claims hook that fails must not leave the new time behind.
        claims = claims_of(user, session)
        session.save(update_fields=["authenticated_at", "methods", "idle_expires_at", "expires_at"])
        what = {"user_id": user.pk, "session_id": session.id, "device_id": session.device_id}
        kind = SecurityEvent.Kind.REAUTHENTICATED
        events.write([events.record(kind, session.now, client or Client(), methods=proved, **what)])
    text, access = issuing.access_token(session, user, None, session.now, claims=claims)
    return IssuedTokens(session, user, access, text)


def is_recent(access: AccessToken) -> bool:
    """Return whether the user authenticated recently enough for a sensitive change (REAUTHENTICATION_AGE).

    In an impersonation the user has not authenticated at all.
    """
    if access.authenticated_at is None or access.actor is not None:
        return False
    return timezone.now() - instant(access.authenticated_at) <= token_settings().reauthentication_age
