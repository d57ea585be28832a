"""Impersonation: a person who is signed in, the actor, uses the account of another user for at most an hour.

The actor's own session stays, but the browser has the tokens of the impersonation in the place of its own. The server
cannot make the actor's refresh token again, because it does not have the secret. So a new session takes the place of
the actor's own one when the impersonation is over. It has the same ``authenticated_at``, and ends at the same time. If
the actor's own session is bound to its device, it goes on, because its key refreshes it.

The response that ends an impersonation can be lost, and actors click twice. So the secret of the new session is not
random: it can be made again from the device cookie, and a second request gets the same refresh token (`end_again`).

Both steps require the device cookie of the actor's own session. So an access token, or a copy of the impersonation's
tokens without the other cookies, is not enough to become the actor.

An impersonation ends with the actor's own session (`tokens.service.revocation`). So it ends when the actor signs out,
is deactivated or deleted, or gets a new password.
"""

import hmac
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from uuid_utils.compat import uuid7

from tokens.conf import BODY, keyring, token_settings
from tokens.database.statements import insert
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.service import auth_hash, devices, events, issuing, required_factors, users
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.opening import open_session
from tokens.service.possession import is_token_of
from tokens.service.revocation import revoke
from tokens.service.user_rules import may_act
from tokens.service.users import SessionEnded

LIFETIME = timedelta(hours=1)
"""An impersonation ends after this time, whether it is used or not."""

_Reason = RefreshToken.Reason


class ImpersonationRefused(PermissionDenied):
    """The impersonation must not begin, or must not do this."""


def begin(actor_key: Any, session_id: UUID, user_key: Any, client: Client) -> IssuedTokens:
    """Open a session in which the actor uses the account of a user, and return its tokens.

    Raise what `lock_to_begin` raises.
    """
    alias = writer(RefreshToken)
    with durable(alias):
        actor, user, own = lock_to_begin(actor_key, session_id, user_key, client)
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
            idle_expires_at=now + token_settings().browser_session_lifetime,
            expires_at=min(now + LIFETIME, own.ends_at),
            auth_hash_digest=auth_hash.digest_of(user),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        insert(alias, session)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": own.device_id, "actor_id": actor.pk}
        events.write([events.new(SecurityEvent.Kind.IMPERSONATED, now, client, **what)])
        # In the transaction: a claims hook that fails must not leave a session behind.
        text, access = issuing.access_token(session, user, session.generation, now)
    refresh_token = issuing.refresh_token(session, secret)
    return IssuedTokens(session, user, access, text, refresh_token, is_new=True)


def lock_to_begin(actor_key: Any, session_id: UUID, user_key: Any, client: Client) -> tuple[Any, Any, RefreshToken]:
    """Return the actor, the user and the actor's own session, if an impersonation may begin. They stay locked.

    ``session_id`` is the actor's own session. Raise `SessionEnded` if it has ended. Raise `ImpersonationRefused` if

    - it is an impersonation itself, keeps its tokens in mode ``body``, or is on another device than the client,
    - the user is the actor, does not exist, or is not active,
    - the user is a superuser, and the actor is not.

    A second call in the same transaction has the same result.
    """
    alias = writer(RefreshToken)
    actor, user = users.lock_users(alias, actor_key, user_key)
    # The row of the impersonation refers to one of them. A sign-in in the same browser locks it before sessions.
    users.lock_devices(alias, actor_key)
    own = _own(RefreshToken.objects.filter(id=session_id).select_for_update(of=("self",)), actor, client)
    if own.mode == BODY or user is None or not may_act(user) or user.pk == actor.pk:
        raise ImpersonationRefused
    if _is_superuser(user) and not _is_superuser(actor):
        raise ImpersonationRefused
    return actor, user, own


def check_device(session_id: UUID, client: Client) -> None:
    """Raise `ImpersonationRefused` unless the session is an impersonation, and the client has its device cookie."""
    row = RefreshToken.objects.for_decision().filter(id=session_id).exclude(actor=None).first()
    if row is None or not _is_on_device(row, client):
        raise ImpersonationRefused


def end(session_id: UUID, client: Client) -> IssuedTokens:
    """End an impersonation, and return the tokens with which the actor goes on, with the ``auth_time`` of before.

    Raise `SessionEnded` if the impersonation or the actor's own session has ended. Raise `ImpersonationRefused` if the
    session is no impersonation, or the client is on another device. If it has been ended in this way already, return
    what `end_again` returns.
    """
    alias = writer(RefreshToken)
    with durable(alias):
        row, actor = _lock_people(alias, session_id)
        if row.revoked_reason == _Reason.RELEASED:
            return _end_again(row, actor, client)
        own_id: Any = row.actor_session_id
        own = _own(RefreshToken.objects.filter(id=own_id), actor, client)
        if own.bound_at is None:
            # Before the sessions are locked, because this locks the device.
            identity = refresh_tokens.RefreshToken(uuid7(), _secrets(row, client)[0], generation=0)
            issued = open_session(actor, client, mode=own.mode, remember=own.remember, identity=identity, replaced=own)
        else:
            issued = _of_bound(own, actor)
        # With all that were begun in the actor's own session. No other begins while the actor's row is locked.
        ending = RefreshToken.objects.using(alias).live().filter(Q(id=own.id) | Q(actor_session_id=own.id))
        if not {own.id, row.id} <= {session.id for session in ending.locked()}:
            raise SessionEnded
        revoke(RefreshToken.objects.filter(id=row.id), _Reason.RELEASED, client=client)
        if own.bound_at is None:
            revoke(RefreshToken.objects.filter(id=own.id), _Reason.SUPERSEDED, client=client)
    return issued


def end_again(
    session_id: UUID, client: Client, *, text: str | None = None, modes: Collection[str] = (), old_name: bool = False
) -> IssuedTokens:
    """Return once more what `end` has returned, because its response was lost, or the actor has clicked twice.

    The client presents an access token of the impersonation that has not expired, or a refresh token ``text`` that was
    valid when the impersonation ended. ``modes`` and ``old_name`` are those of `possession.is_token_of`.

    Both answers have the same refresh token, of generation 0. So if a thief gets one of them, the protocol detects that
    two parties use it. Raise `ImpersonationRefused` if the impersonation was not ended by `end` within REUSE_GRACE, the
    client is on another device, or the actor has gone on: refreshed the session, or begun another impersonation in it.
    Raise `SessionEnded` if that session has ended.
    """
    alias = writer(RefreshToken)
    with durable(alias):
        row, actor = _lock_people(alias, session_id)
        if text is not None:
            released_at, row.revoked_at = row.revoked_at, None  # As it was before.
            if released_at is None or not is_token_of(row, released_at, text, modes, old_name=old_name):
                raise ImpersonationRefused
            row.revoked_at = released_at
        return _end_again(row, actor, client)


def _lock_people(alias: str, session_id: UUID) -> tuple[RefreshToken, Any]:
    """Return an impersonation as it is now, and the actor. The rows of both people stay locked."""
    rows = RefreshToken.objects.using(alias).filter(id=session_id).exclude(actor=None)
    keys = rows.values_list("actor", "user").first()
    if keys is None:
        raise ImpersonationRefused
    actor, _ = users.lock_users(alias, *keys)
    row = rows.for_decision().first()
    if row is None:
        raise SessionEnded
    return row, actor


def _end_again(row: RefreshToken, actor: Any, client: Client) -> IssuedTokens:
    """Do what `end_again` does after it has checked what the client presents."""
    if (
        row.revoked_reason != _Reason.RELEASED
        or row.revoked_at is None
        or row.now - row.revoked_at >= token_settings().reuse_grace
        or not _is_on_device(row, client)
    ):
        raise ImpersonationRefused
    found = {refresh_tokens.RefreshToken(row.id, secret, 0).digest: secret for secret in _secrets(row, client)}
    # If it is not bound, it has ended.
    is_own = Q(id=row.actor_session_id) | Q(user=row.actor_id, secret_digest__in=found)
    own = _own(RefreshToken.objects.filter(is_own), actor, client)
    if RefreshToken.objects.using(own._state.db).live().filter(actor_session_id=own.id).exists():
        raise ImpersonationRefused
    if own.bound_at is not None:
        return _of_bound(own, actor)
    if own.generation > 0:
        raise ImpersonationRefused
    text, access = issuing.access_token(own, actor, own.generation, own.now)
    refresh_token = issuing.refresh_token(own, found[bytes(own.secret_digest)])
    return IssuedTokens(own, actor, access, text, refresh_token, is_new=True, continues=True)


def _of_bound(own: RefreshToken, actor: Any) -> IssuedTokens:
    """Return an access token of the actor's own session, which is bound. It has expired, so the browser signs next.

    Otherwise somebody with copied cookies could get a new one by an impersonation after the other, and never sign.
    """
    # Like every access token of a bound session, it names no generation.
    text, access = issuing.access_token(own, actor, None, own.now, until=own.now)
    return IssuedTokens(own, actor, access, text, binds=True)


def _secrets(row: RefreshToken, client: Client) -> list[bytes]:
    """Return the secret of the session that follows an impersonation, by each key of the server, the current one first.

    It is derived from the digest of the impersonation's secret and the client's device token, so that `end_again` can
    make it. The device token is not in the database.
    """
    seed = bytes(row.secret_digest) + (client.device_token or "").encode()
    return [hmac.digest(key, seed, "sha256")[:SECRET_BYTES] for key in keyring().release_keys]


def _own(rows: RefreshTokenQuerySet, actor: Any, client: Client) -> RefreshToken:
    """Return the actor's own session, if it is live, lacks no factor, and is on the device of the client."""
    own = rows.for_decision().live().first()
    if actor is None or own is None or not may_act(actor, own.backend):
        raise SessionEnded
    if own.actor_id is not None:
        raise ImpersonationRefused
    if own.user_id != actor.pk or auth_hash.renewed_digest(own, actor) is None:
        raise SessionEnded
    if required_factors.lacks_factor(own, own.now):
        raise SessionEnded  # The actor signs in anew, and proves one.
    if not _is_on_device(own, client):
        raise ImpersonationRefused
    return own


def _is_on_device(session: RefreshToken, client: Client) -> bool:
    return hmac.compare_digest(bytes(session.device.token_digest), devices.digest_of(client.device_token or ""))


def _is_superuser(user: Any) -> bool:
    return bool(getattr(user, "is_superuser", False))
