"""Opens a session for a user who has authenticated, whichever way they signed in."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Least
from uuid_utils.compat import uuid7

from tokens.conf import token_settings
from tokens.database.expressions import DatabaseNow
from tokens.database.statements import Read, insert
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.service import auth_hash, devices, events, issuing, users
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import lock, revoke

PASSWORD = ["pwd"]
"""The authentication methods of a user who gave a password (RFC 8176)."""


def open_session(
    user: Any,
    client: Client,
    *,
    mode: str,
    remember: bool = False,
    device_name: str = "",
    identity: refresh_tokens.RefreshToken | None = None,
    replaced: RefreshToken | None = None,
    authenticated_ago: timedelta | None = timedelta(),
    lasts: timedelta | None = None,
) -> IssuedTokens:
    """Open a session for a user who has authenticated, and return its tokens.

    ``mode`` is one of `RefreshToken.Mode`, and never changes. ``device_name`` is what the user calls this device.
    ``identity`` is the id and the secret, if they are not to be random. Raise `IntegrityError` if that id exists.
    ``replaced`` is a session that has ended, or that the caller ends, and that the new one takes the place of: the user
    did not authenticate again, and the new session ends when that one would have.
    Raise `UserChanged` if the user is not any more what they were when they authenticated.
    ``authenticated_ago`` says how long ago the user authenticated. None: it is known neither when nor how.
    ``lasts`` is after how long the session ends, if that is less than ABSOLUTE_LIFETIME.
    """
    found = token_settings()
    identity = identity or refresh_tokens.RefreshToken(uuid7(), secrets.token_bytes(SECRET_BYTES), generation=0)
    alias = writer(RefreshToken)
    with durable(alias):
        current = users.lock_authenticated(alias, user)
        device, device_token, now = devices.recognise(user, client, device_name)
        authenticated_at = None if authenticated_ago is None else now - authenticated_ago
        if replaced is not None:
            authenticated_at = replaced.authenticated_at
        idle = found.idle_lifetime if remember else found.browser_session_lifetime
        session = RefreshToken(
            id=identity.session_id,
            user=user,
            device=device,
            mode=mode,
            secret_digest=identity.digest,
            since=now,
            created_at=now,
            authenticated_at=authenticated_at,
            authentication_methods=[]
            if authenticated_at is None
            else replaced.authentication_methods
            if replaced
            else PASSWORD,
            remember=remember,
            idle_expires_at=now + idle,
            expires_at=replaced.expires_at if replaced else now + min(found.absolute_lifetime, lasts or timedelta.max),
            auth_hash_digest=auth_hash.digest_of(current),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        insert(alias, session)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": device.id}
        happened = [events.record(SecurityEvent.Kind.SIGNED_IN, now, client, **what)]
        if device_token:
            happened.append(events.record(SecurityEvent.Kind.NEW_DEVICE, now, client, **what))
        events.write(happened)
        _make_room(session, client, replaced)
        # In the transaction: a claims hook that fails must not leave a session behind.
        text, access = issuing.access_token(session, user, session.generation, now)
    refresh_token = issuing.refresh_token(session, identity.secret)
    continues = replaced is not None
    return IssuedTokens(session, user, access, text, refresh_token, device_token, is_new=True, continues=continues)


def end_after(session_id: UUID, lasts: timedelta | None) -> None:
    """Let a live session end this long from now, at the latest when ABSOLUTE_LIFETIME is over. None: only then."""
    latest = F("created_at") + token_settings().absolute_lifetime
    ends_at = latest if lasts is None else Least(DatabaseNow() + lasts, latest)
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id, actor=None)
    rows.update(expires_at=ExpressionWrapper(ends_at, DateTimeField()))


def replace_session(ended: RefreshToken, client: Client) -> IssuedTokens:
    """Open a session in the place of one that was ended although its user goes on, and return its tokens."""
    return open_session(ended.user, client, mode=ended.mode, remember=ended.remember, replaced=ended)


def _make_room(session: RefreshToken, client: Client, replaced: RefreshToken | None) -> None:
    """End the sessions of other users in this browser, and the least recently used ones beyond MAX_SESSIONS.

    Earlier sessions of the same user on this device end when the new session is first refreshed. If they ended now, a
    double click on "sign in" could leave the user without a session.
    """
    alias = writer(RefreshToken)
    # The token that the browser has sent, because a new one replaces that of a forgotten device.
    digest = devices.digest_of(client.device_token or "")
    if digest == session.device.token_digest or (client.device_token and not client.is_device_doubtful):
        rows = _own_and_others_here(alias, id=session.id, user=session.user_id, device__token_digest=digest)
    else:
        rows = _own(alias, id=session.id, user=session.user_id)
    superseded = [id for id, user_id, _ in rows if user_id != session.user_id]
    own = [id for id, user_id, _ in rows if user_id == session.user_id and not (replaced and id == replaced.id)]
    unused = own[token_settings().max_sessions - 1 :]
    # The caller ends the replaced session afterwards.
    if sum(map(bool, (superseded, unused, replaced))) > 1:
        lock(RefreshToken.objects.filter(id__in=[*superseded, *unused, *([replaced.id] if replaced else [])]))
    for ids, reason in [(superseded, RefreshToken.Reason.SUPERSEDED), (unused, RefreshToken.Reason.TOO_MANY)]:
        if ids:
            revoke(RefreshToken.objects.filter(id__in=ids), reason, client=client)


def _live(alias: str) -> Any:
    # Impersonations do not count. They end with the session in which they were begun.
    return RefreshToken.objects.using(alias).live().filter(actor=None).values_list("id", "user", "since")


@Read
def _own(alias: str, id: Any, user: Any) -> Any:
    """Select the user's other live sessions, the most recently used first."""
    return _live(alias).filter(user=user).exclude(id=id).order_by("-since")


@Read
def _own_and_others_here(alias: str, id: Any, user: Any, device__token_digest: Any) -> Any:
    """Select the user's other live sessions and those of the device's other users, the most recently used first."""
    others = _live(alias).filter(device__token_digest=device__token_digest).exclude(user=user)
    return _live(alias).filter(user=user).exclude(id=id).union(others, all=True).order_by("-since")
