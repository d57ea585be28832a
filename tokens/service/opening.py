"""Opening a session: what a sign-in by any door comes to."""

import secrets
from datetime import datetime
from typing import Any

from uuid_utils.compat import uuid7

from tokens import refresh_tokens
from tokens.compiled import Read, insert
from tokens.conf import token_settings
from tokens.database import DatabaseNow, clock, durable, writer
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.refresh_tokens import SECRET_BYTES
from tokens.service import events, grants
from tokens.service.client import MAX_NAME, Client, digest_of_device_token, new_device_token
from tokens.service.ending import end
from tokens.service.grants import Grant
from tokens.service.stamps import stamp_of

PASSWORD = ["pwd"]
"""How somebody who gave a password was authenticated (RFC 8176)."""


def open_session(
    user: Any,
    client: Client,
    *,
    mode: str,
    remember: bool = False,
    device_name: str = "",
    identity: refresh_tokens.RefreshToken | None = None,
) -> Grant:
    """Open a session for a user who has just authenticated, and return its tokens.

    ``mode``: one of `RefreshToken.Mode`, for good. ``device_name``: what the user calls this device. ``identity``: id
    and secret, where they are not to be new; `IntegrityError` is raised if there is such a session.
    """
    found = token_settings()
    identity = identity or refresh_tokens.RefreshToken(uuid7(), secrets.token_bytes(SECRET_BYTES), generation=0)
    alias = writer(RefreshToken)
    with durable(alias):
        device, device_token, now = _recognise(user, client, device_name)
        idle = found.idle_lifetime if remember else found.browser_session_lifetime
        session = RefreshToken(
            id=identity.session_id,
            user=user,
            device=device,
            mode=mode,
            secret_digest=identity.digest,
            since=now,
            created_at=now,
            authenticated_at=now,
            authentication_methods=PASSWORD,
            remember=remember,
            idle_expires_at=now + idle,
            expires_at=now + found.absolute_lifetime,
            auth_hash_digest=stamp_of(user),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        insert(alias, session)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": device.id}
        happened = [events.record(SecurityEvent.Kind.SIGNED_IN, now, client, **what)]
        if device_token:
            happened.append(events.record(SecurityEvent.Kind.NEW_DEVICE, now, client, **what))
        events.write(happened)
        _end_what_makes_way(session, client)
        # In here, so that a claims hook that fails leaves no session behind.
        text, access = grants.access_token(session, user, session.generation, now)
    return Grant(session, user, access, text, grants.refresh_token(session, identity.secret), device_token, True)


_COLUMNS = [field.attname for field in Device._meta.concrete_fields]
_USER = _COLUMNS.index("user_id")


@Read
def _devices(alias: str, **digest: Any) -> Any:
    """The devices of this token, locked, with the database's clock."""
    devices = Device.objects.using(alias).select_for_update().filter(**digest).order_by("pk")
    return devices.values_list(*_COLUMNS, DatabaseNow())


def _live(alias: str) -> Any:
    return RefreshToken.objects.using(alias).live().values_list("id", "user", "since")


@Read
def _own(alias: str, id: Any, user: Any) -> Any:
    """A user's other live sessions, the last used first."""
    return _live(alias).filter(user=user).exclude(id=id).order_by("-since")


@Read
def _own_and_others_here(alias: str, id: Any, user: Any, device__token_digest: Any) -> Any:
    """And those of the device's other users."""
    others = _live(alias).filter(device__token_digest=device__token_digest).exclude(user=user)
    return _live(alias).filter(user=user).exclude(id=id).union(others, all=True).order_by("-since")


def _recognise(user: Any, client: Client, name: str) -> tuple[Device, str | None, datetime]:
    """Return the device, its token if it is new, and the database's clock, which is read with the row.

    The row is locked, so that a purge does not take it away.
    """
    alias = writer(Device)
    token = client.device_token
    if token:
        digest = digest_of_device_token(token)
        known = _devices(alias, token_digest=digest)
        if known and all(values[_USER] != user.pk for values in known):
            # A double click on "sign in": whoever held the lock may just have made this user's device.
            known = _devices(alias, token_digest=digest)
        for *values, now in known:
            if values[_USER] == user.pk:
                mine = Device.from_db(alias, _COLUMNS, values)
                if name:
                    mine.name = name
                    mine.save(using=alias, update_fields=["name"])
                return mine, None, now
        if not known:
            # Not a token that we gave: whoever can write a cookie must not choose what a device is known by.
            token = None
    token, now = token or new_device_token(), clock(alias)
    device = Device(
        user=user,
        token_digest=digest_of_device_token(token),
        name=name[:MAX_NAME] or client.device_name,
        created_at=now,
    )
    insert(alias, device)
    return device, token, now


def _end_what_makes_way(session: RefreshToken, client: Client) -> None:
    """End the sessions of this browser's other users, and the longest unused of too many.

    What the same user had on this device ends at the new session's first refresh, lest a double click on "sign in"
    leave nobody with a living session.
    """
    alias, digest = writer(RefreshToken), session.device.token_digest
    # On a device whose token was made just now nobody else can be.
    if client.device_token and digest_of_device_token(client.device_token) == digest:
        rows = _own_and_others_here(alias, id=session.id, user=session.user_id, device__token_digest=digest)
    else:
        rows = _own(alias, id=session.id, user=session.user_id)
    superseded = [id for id, user_id, _ in rows if user_id != session.user_id]
    unused = [id for id, user_id, _ in rows if user_id == session.user_id][token_settings().max_sessions - 1 :]
    for ids, reason in [(superseded, RefreshToken.Reason.SUPERSEDED), (unused, RefreshToken.Reason.TOO_MANY)]:
        if ids:
            end(RefreshToken.objects.filter(id__in=ids), reason, client=client)
