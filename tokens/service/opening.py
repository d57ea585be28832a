"""Opening a session: what a sign-in by any door comes to."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Any

from tokens.conf import token_settings
from tokens.database import clock, durable, writer
from tokens.models import Device, RefreshToken, SecurityEvent, ends_on
from tokens.refresh_tokens import SECRET_BYTES
from tokens.service import events, grants
from tokens.service.client import MAX_NAME, Client, digest_of_device_token, new_device_token
from tokens.service.ending import end
from tokens.service.grants import Grant
from tokens.service.stamps import stamp_of

PASSWORD = ["pwd"]
"""How somebody who gave a password was authenticated (RFC 8176)."""


def open_session(user: Any, client: Client, *, mode: str, remember: bool = False, device_name: str = "") -> Grant:
    """Open a session for a user who has just authenticated, and return its tokens.

    ``mode``: one of `RefreshToken.Mode`, for good. ``device_name``: what the user calls this device.
    """
    found = token_settings()
    secret = secrets.token_bytes(SECRET_BYTES)
    alias = writer(RefreshToken)
    with durable(alias):
        now = clock(alias)
        device, device_token = _recognise(user, client, device_name, now)
        idle = found.idle_lifetime if remember else found.browser_session_lifetime
        session = RefreshToken(
            user=user,
            device=device,
            mode=mode,
            secret_digest=sha256(secret).digest(),
            since=now,
            created_at=now,
            authenticated_at=now,
            authentication_methods=PASSWORD,
            remember=remember,
            idle_expires_at=now + idle,
            expires_at=now + found.absolute_lifetime,
            ends_on=ends_on(min(now + idle, now + found.absolute_lifetime)),
            auth_hash_digest=stamp_of(user),
            ip=client.ip,
            user_agent_digest=client.user_agent_digest,
        )
        session.save(using=alias, force_insert=True)
        what = {"user_id": user.pk, "session_id": session.id, "device_id": device.id}
        happened = [events.record(SecurityEvent.Kind.SIGNED_IN, now, client, **what)]
        if device_token:
            happened.append(events.record(SecurityEvent.Kind.NEW_DEVICE, now, client, **what))
        events.write(happened)
        _end_what_makes_way(session, client)
    text, access = grants.access_token(session, user, session.generation, now)
    return Grant(session, user, access, text, grants.refresh_token(session, secret), device_token)


def _recognise(user: Any, client: Client, name: str, now: datetime) -> tuple[Device, str | None]:
    """Return the device, and its token if it is new. The row is locked, so that a purge does not take it away."""
    alias = writer(Device)
    token = client.device_token
    if token:
        known = Device.objects.using(alias).select_for_update().filter(token_digest=digest_of_device_token(token))
        devices = list(known)
        if mine := next((device for device in devices if device.user_id == user.pk), None):
            if name:
                mine.name = name
                mine.save(using=alias, update_fields=["name"])
            return mine, None
        if not devices:
            # Not a token that we gave: whoever can write a cookie must not choose what a device is known by.
            token = None
    token = token or new_device_token()
    device = Device(
        user=user,
        token_digest=digest_of_device_token(token),
        name=name[:MAX_NAME] or client.device_name,
        created_at=now,
    )
    device.save(using=alias, force_insert=True)
    return device, token


def _end_what_makes_way(session: RefreshToken, client: Client) -> None:
    """End the sessions of this browser's other users, and the longest unused of too many.

    What the same user had on this device ends at the new session's first refresh, lest a double click on "sign in"
    leave nobody with a living session.
    """
    live = RefreshToken.objects.using(writer(RefreshToken)).live()
    others = live.filter(device__token_digest=session.device.token_digest).exclude(user=session.user_id)
    end(others, RefreshToken.Reason.SUPERSEDED, client=client)
    kept = token_settings().max_sessions - 1
    unused = live.filter(user=session.user_id).exclude(id=session.id).order_by("-since")
    if surplus := list(unused.values_list("id", flat=True)[kept:]):
        end(RefreshToken.objects.filter(id__in=surplus), RefreshToken.Reason.TOO_MANY, client=client)
