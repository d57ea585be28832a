"""Impersonation: a person who is signed in, the actor, uses the account of another user for at most an hour.

The actor's own session stays, but the browser has the tokens of the impersonation in the place of its own. The server
cannot make the actor's refresh token again, because it does not have the secret. So a new session takes the place of
the actor's own one when the impersonation is over. It has the same ``authenticated_at``, and ends at the same time. If
the actor's own session is bound to its device, it goes on, because its key refreshes it.

Both steps require the device cookie of the actor's own session. So an access token, or a copy of the impersonation's
tokens without the other cookies, is not enough to become the actor.

An impersonation ends with the actor's own session (`tokens.service.revocation`). So it ends when the actor signs out,
is deactivated or deleted, or gets a new password.
"""

import secrets
from datetime import timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from uuid_utils.compat import uuid7

from tokens.conf import BODY, token_settings
from tokens.database.statements import insert
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.service import auth_hash, devices, events, issuing, users
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import open_session
from tokens.service.revocation import revoke
from tokens.service.users import SessionEnded

LIFETIME = timedelta(hours=1)
"""An impersonation ends after this time, whether it is used or not."""

_Reason = RefreshToken.Reason


class ImpersonationRefused(PermissionDenied):
    """The impersonation must not begin, or must not do this."""


def begin(actor_key: Any, session_id: UUID, user_key: Any, client: Client) -> IssuedTokens:
    """Open a session in which the actor uses the account of a user, and return its tokens.

    ``session_id`` is the actor's own session. Raise `SessionEnded` if it has ended. Raise `ImpersonationRefused` if

    - it is an impersonation itself, keeps its tokens in mode ``body``, or is on another device than the client,
    - the user is the actor, does not exist, or is not active,
    - the user is a superuser, and the actor is not.
    """
    alias = writer(RefreshToken)
    with durable(alias):
        actor, user = users.lock_both(alias, actor_key, user_key)
        # The row of the impersonation refers to one of them. A sign-in in the same browser locks it before sessions.
        users.lock_devices(alias, actor_key)
        own = _own(RefreshToken.objects.select_for_update(of=("self",)), session_id, actor, client)
        if own.mode == BODY or user is None or not user.is_active or user.pk == actor.pk:
            raise ImpersonationRefused
        if _is_superuser(user) and not _is_superuser(actor):
            raise ImpersonationRefused
        now, secret = own.now, secrets.token_bytes(SECRET_BYTES)
        identity = refresh_tokens.RefreshToken(uuid7(), secret, generation=0)
        session = RefreshToken(
            id=identity.session_id,
            user=user,
            actor=actor,
            actor_session_id=own.id,
            device=own.device,
            mode=own.mode,
            secret_digest=identity.digest,
            since=now,
            created_at=now,
            authenticated_at=own.authenticated_at,
            authentication_methods=own.authentication_methods,
            idle_expires_at=now + token_settings().browser_session_lifetime,
            expires_at=min(now + LIFETIME, own.ends_at),
            auth_hash_digest=auth_hash.digest_of(user),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        insert(alias, session)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": own.device_id, "actor_id": actor.pk}
        events.write([events.record(SecurityEvent.Kind.IMPERSONATED, now, client, **what)])
        # In the transaction: a claims hook that fails must not leave a session behind.
        text, access = issuing.access_token(session, user, session.generation, now)
    refresh_token = issuing.refresh_token(session, secret)
    return IssuedTokens(session, user, access, text, refresh_token, is_new=True)


def end(session_id: UUID, client: Client) -> IssuedTokens:
    """End an impersonation, and return the tokens with which the actor goes on, with the ``auth_time`` of before.

    Raise `SessionEnded` if the impersonation or the actor's own session has ended. Raise `ImpersonationRefused` if the
    session is no impersonation, or the client is on another device.
    """
    alias = writer(RefreshToken)
    row = RefreshToken.objects.using(alias).filter(id=session_id).first()
    if row is None or row.actor_session_id is None:
        raise ImpersonationRefused
    with durable(alias):
        actor, _ = users.lock_both(alias, row.actor_id, row.user_id)
        own = _own(RefreshToken.objects.all(), row.actor_session_id, actor, client)
        if own.bound_at is None:
            # Before the sessions are locked, because this locks the device.
            issued = open_session(actor, client, mode=own.mode, remember=own.remember, replaced=own)
        else:
            # Like every access token of a bound session, it names no generation.
            text, access = issuing.access_token(own, actor, None, own.now)
            issued = IssuedTokens(own, actor, access, text, binds=True)
        # With all that were begun in the actor's own session. No other begins while the actor's row is locked.
        ending = RefreshToken.objects.using(alias).live().filter(Q(id=own.id) | Q(actor_session_id=own.id))
        if not {own.id, row.id} <= {session.id for session in ending.locked()}:
            raise SessionEnded
        revoke(RefreshToken.objects.filter(id=row.id), _Reason.RELEASED, client=client)
        if own.bound_at is None:
            revoke(RefreshToken.objects.filter(id=own.id), _Reason.SUPERSEDED, client=client)
    return issued


def _own(rows: RefreshTokenQuerySet, session_id: UUID, actor: Any, client: Client) -> RefreshToken:
    """Return the actor's own session, if it is live, belongs to the actor, and is on the device of the client."""
    own = rows.for_decision().live().filter(id=session_id).first()
    if actor is None or not actor.is_active or own is None:
        raise SessionEnded
    if own.actor_id is not None:
        raise ImpersonationRefused
    if own.user_id != actor.pk or auth_hash.renewed_digest(own, actor) is None:
        raise SessionEnded
    if not compare_digest(bytes(own.device.token_digest), devices.digest_of(client.device_token or "")):
        raise ImpersonationRefused
    return own


def _is_superuser(user: Any) -> bool:
    return bool(getattr(user, "is_superuser", False))
