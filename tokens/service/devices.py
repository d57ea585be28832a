"""Devices: a browser or app of one user, recognised at its next sign-in by a token that only it holds.

A device token is 256 random bits. The row holds its SHA-256 digest. A token that begins with `HTTP` was issued for a
cookie that scripts cannot set, and is ignored in a cookie of the older name. In such a cookie a device counts only for
a user who has it already, and for as long as a browser can have kept the cookie.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tokens.conf import token_settings
from tokens.database.expressions import DatabaseNow
from tokens.database.statements import Read, insert
from tokens.database.transactions import clock, writer
from tokens.models import Device, RefreshToken
from tokens.service.client import Client

MAX_NAME = 100
"""Characters of a device's name."""
HTTP = "Http."
"""Begins a device token that was issued for a cookie with ``Http`` in the prefix of its name."""
LIFETIME = timedelta(days=400)
"""How long a browser keeps the device cookie. Browsers keep no cookie longer (RFC 6265bis section 5.5)."""

# Names are also printed on the terminals of operators, where an escape sequence is a command.
without_control_characters = RegexValidator(r"^[^\x00-\x1f\x7f-\x9f]*\Z", gettext_lazy("Leave out control characters."))

_COLUMNS = [field.attname for field in Device._meta.concrete_fields]
_USER, _CREATED_AT = _COLUMNS.index("user_id"), _COLUMNS.index("created_at")


def new_token() -> str:
    """Return a new device token."""
    return (HTTP if token_settings().writes_http_names else "") + secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """Return the SHA-256 digest of a device token, 32 bytes, as the row holds it."""
    return sha256(token.encode("utf-8", "replace")).digest()


def is_held(device: Device, client: Client, now: datetime) -> bool:
    """Return whether the client holds the token of this device."""
    if client.device_token is None or not is_credible(client, device.created_at, now):
        return False
    return compare_digest(bytes(device.token_digest), digest_of(client.device_token))


def is_credible(client: Client, created_at: datetime, now: datetime) -> bool:
    """Return whether a browser can still have the cookie of a device that was created then.

    Under its older name the cookie was set only when the device was created.
    """
    return not client.is_device_doubtful or now < created_at + LIFETIME


def default_name(client: Client) -> str:
    """Return a name that the user recognises, in the active language: “Firefox on Windows”, or “curl”."""
    if not client.user_agent:
        return _("Unknown device")
    from ua_parser import parse  # Slow to import, and only a sign-in on a new device needs it.

    parsed = parse(client.printable_user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else client.printable_user_agent.partition("/")[0]
    system = parsed.os.family if parsed.os else ""
    both = {"browser": browser, "system": system}
    name = _("%(browser)s on %(system)s") % both if all(both.values()) else browser or system
    return name.strip()[:MAX_NAME] or _("Unknown device")


def recognise(user: Any, client: Client, name: str = "") -> tuple[Device, str | None, datetime]:
    """Return the user's device, its token if the device is new, and the database's clock.

    The row is locked, so that a purge cannot delete it before the session exists. ``name`` is what the user calls the
    device, or empty.
    """
    alias = writer(Device)
    token = client.device_token
    if token:
        digest = digest_of(token)
        known = _devices(alias, token_digest=digest)
        if known and all(values[_USER] != user.pk for values in known):
            # After a double click on "sign in", the other request may have created this user's device while we waited
            # for its lock.
            known = _devices(alias, token_digest=digest)
        for *values, now in known:
            if values[_USER] == user.pk and is_credible(client, values[_CREATED_AT], now):
                device = Device.from_db(alias, _COLUMNS, values)
                if name:
                    device.name = name
                    device.save(using=alias, update_fields=["name"])
                return device, None, now
        if not known or client.is_device_doubtful:
            # We did not issue this token, or not for this user. A client must not choose the token of its device.
            token = None
    token, now = token or new_token(), clock(alias)
    device = Device(
        user=user, token_digest=digest_of(token), name=name[:MAX_NAME] or default_name(client), created_at=now
    )
    insert(alias, device)
    return device, token, now


@Read
def _devices(alias: str, **digest: Any) -> Any:
    """Select the devices with this token for update, with the database's clock."""
    devices = Device.objects.using(alias).select_for_update().filter(**digest).order_by("pk")
    return devices.values_list(*_COLUMNS, DatabaseNow())


def rename(session: RefreshToken, name: str) -> None:
    """Set the name of the session's device."""
    session.device.name = name
    session.device.save(using=writer(RefreshToken), update_fields=["name"])
