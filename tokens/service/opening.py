"""Opens a session for a user who has authenticated, whichever way they signed in."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import floor
from types import MappingProxyType
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from tokens.conf import token_settings
from tokens.database.expressions import DatabaseNow
from tokens.database.statements import Read, insert
from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import methods, refresh_tokens
from tokens.protocol.refresh_tokens import SECRET_BYTES
from tokens.service import auth_hash, devices, events, issuing, lifetimes, trust, user_rules, users
from tokens.service.claims import claims_of
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import lock, revoke
from tokens.service.users import UserChanged

Proved = Mapping[str, timedelta]
"""Authentication methods by name, each with how long ago the user proved it."""
NOTHING: Proved = MappingProxyType({})


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
    proved: Proved = NOTHING,
    backend: str = "",
    lasts: timedelta | None = None,
    is_sign_in: bool = True,
    by_trusted_device: bool = False,
    trusts: bool = False,
) -> IssuedTokens:
    """Open a session for a user who has authenticated, and return its tokens.

    ``mode`` is one of `RefreshToken.Mode`, and never changes. ``device_name`` is what the user calls this device.
    ``identity`` is the id and the secret, if they are not to be random. Raise `IntegrityError` if that id exists.
    ``replaced`` is a session that has ended, or that the caller ends, and that the new one takes the place of: the user
    did not authenticate again, and the new session ends when that one would have.
    Raise `UserChanged` if the user is not any more what they were when they authenticated, or did so longer ago than
    LIFETIMES allows, and `ClaimsHookFailed` if the claims hook fails. Then nothing is written.
    ``backend`` is the dotted path of the backend of the sign-in, if ``user.backend`` does not say it.
    ``authenticated_ago`` says how long ago the user authenticated. None: it is not known. ``proved`` says how.
    ``lasts`` is after how long the session ends, if that is less than ABSOLUTE_LIFETIME.
    ``is_sign_in``: whether the user is told of a new device. It is false for a sign-in that another package has kept.
    ``by_trusted_device``: the user was not asked for a second factor, because the device is trusted. Raise
    `UserChanged` if it is not any more. ``trusts``: the device is trusted from now on.
    """
    found = token_settings()
    identity = identity or refresh_tokens.RefreshToken(uuid7(), secrets.token_bytes(SECRET_BYTES), generation=0)
    alias = writer(RefreshToken)
    with durable(alias):
        current = users.lock_authenticated(alias, user)
        device, device_token, now = devices.recognise(user, client, device_name)
        if by_trusted_device and not trust.holds(device, current, now):
            raise UserChanged
        if trusts:
            trust.begin(device, current, now)
        authenticated_at = None if authenticated_ago is None else now - authenticated_ago
        if replaced is not None:
            authenticated_at = replaced.authenticated_at
        lasting = min(found.absolute_lifetime, lasts or timedelta.max)
        session = RefreshToken(
            id=identity.session_id,
            user=user,
            device=device,
            mode=mode,
            secret_digest=identity.digest,
            since=now,
            created_at=now,
            authenticated_at=authenticated_at,
            methods=replaced.methods if replaced else with_methods("", proved, now),
            backend=_backend(user, backend, replaced),
            remember=remember,
            expires_at=replaced.expires_at if replaced else now + lasting,
            auth_hash_digest=auth_hash.digest_of(current),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        session.expires_at = lifetimes.within_level(session.expires_at, session.methods)
        if session.expires_at <= now:
            raise UserChanged
        session.idle_expires_at = lifetimes.idle_until(session, now)
        # In the transaction: a claims hook that fails must not leave a session behind.
        claims = claims_of(user, session)
        insert(alias, session)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": device.id}
        happened = [events.new(SecurityEvent.Kind.SIGNED_IN, now, client, methods=session.amr, **what)]
        if device_token and is_sign_in:
            happened.append(events.new(SecurityEvent.Kind.NEW_DEVICE, now, client, **what))
        events.write(happened)
        _end_superseded(session, client, replaced)
    text, access = issuing.access_token(session, user, session.generation, now, claims=claims)
    refresh_token = issuing.refresh_token(session, identity.secret)
    continues = replaced is not None
    return IssuedTokens(session, user, access, text, refresh_token, device_token, is_new=True, continues=continues)


def with_methods(text: str, proved: Proved, now: datetime) -> str:
    """Return the text of the column ``methods`` after the user has proved these, too."""
    return methods.added(text, {name: floor((now - ago).timestamp()) for name, ago in proved.items()})


def end_after(session_id: UUID, lasts: timedelta | None) -> None:
    """Let a live session end this long from now, at the latest when ABSOLUTE_LIFETIME is over. None: only then."""
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id, actor=None)
    # Added in Python: PostgreSQL would add days, and some are longer where the connection has a time zone.
    columns = "created_at", "authenticated_at", "methods", "read_at"
    for created_at, authenticated_at, proved, now in rows.annotate(read_at=DatabaseNow()).values_list(*columns):
        latest = lifetimes.begun_at(created_at, authenticated_at) + token_settings().absolute_lifetime
        end = latest if lasts is None else min(now + lasts, latest)
        rows.update(expires_at=lifetimes.within_level(end, proved))


def note_use(session_id: UUID) -> bool:
    """Return whether the session is live. If it is, it counts as used, at most once in a tenth of IDLE_LIFETIME.

    For sessions that are used without their own tokens, which never refresh. Their clients are no browsers that close.
    """
    found = token_settings()
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id)
    row = rows.annotate(read_at=DatabaseNow()).values_list("idle_expires_at", "methods", "read_at").first()
    if row is None:
        return False
    idle_expires_at, proved, now = row
    idle = min(found.idle_lifetime, found.limits_of(methods.names_in(proved)).idle or timedelta.max)
    if idle_expires_at < now + idle * 9 / 10:
        rows.update(idle_expires_at=now + idle)
    return True


def set_remembered(session_id: UUID, remember: bool) -> None:
    """Note whether a live session goes on when the browser is closed. Its next refresh follows it."""
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id, actor=None)
    rows.update(remember=remember)


def replace_session(ended: RefreshToken, client: Client) -> IssuedTokens:
    """Open a session in the place of one that was ended although its user goes on, and return its tokens."""
    return open_session(ended.user, client, mode=ended.mode, remember=ended.remember, replaced=ended)


def _backend(user: Any, given: str, replaced: RefreshToken | None) -> str:
    if not user_rules.has_rules():
        return ""
    path: str = given or getattr(user, "backend", "") or (replaced.backend if replaced else "")
    return path[:255]


def _end_superseded(session: RefreshToken, client: Client, replaced: RefreshToken | None) -> None:
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
    return RefreshToken.objects.using(alias).unended().filter(actor=None).values_list("id", "user", "since")


@Read
def _own(alias: str, id: Any, user: Any) -> Any:
    """Select the user's other live sessions, the most recently used first."""
    return _live(alias).filter(user=user).exclude(id=id).order_by("-since")


@Read
def _own_and_others_here(alias: str, id: Any, user: Any, device__token_digest: Any) -> Any:
    """Select the user's other live sessions and those of the device's other users, the most recently used first."""
    others = _live(alias).filter(device__token_digest=device__token_digest).exclude(user=user)
    return _live(alias).filter(user=user).exclude(id=id).union(others, all=True).order_by("-since")
