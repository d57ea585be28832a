"""Devices: a browser or app of one user, recognised at its next sign-in by a token that only it holds.

A device token is 256 random bits. The row holds its SHA-256 digest. A token that begins with `HTTP` was issued for a
cookie that scripts cannot set, and is ignored in a cookie of the older name. In such a cookie a device counts only for
a user who has it already, and for as long as a browser can have kept the cookie.

When a user has reason to believe that somebody else knows the tokens, the other devices are forgotten. A forgotten
token is never accepted again for this user. The browser that has it gets a new one at its next sign-in, because a copy
of the old one may exist.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.core.validators import RegexValidator
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from uuid_utils.compat import uuid7

from tokens.conf import token_settings
from tokens.database.expressions import DatabaseNow
from tokens.database.statements import Read, insert, update
from tokens.database.transactions import clock, durable, writer
from tokens.models import Device, RefreshToken
from tokens.service.client import Client

MAX_NAME = 100
"""Characters of a device's name."""
HTTP = "Http."
"""Begins a device token that was issued for a cookie with ``Http`` in the prefix of its name."""
LIFETIME = timedelta(days=400)
"""How long a browser keeps the device cookie. Browsers keep no cookie longer (RFC 6265bis section 5.5)."""
OWN_BUDGETS = 5
"""How many devices of a user have a budget of their own for wrong passwords."""
NEW_FOR = timedelta(days=1)
"""For how long after its first sign-in a device is new.

A new device does not displace an older one from the `OWN_BUDGETS` devices that have a budget. Otherwise a thief who
knows the password could sign in on five new devices within seconds, and the user's own devices would have no budget
any more. The user gets a mail about each new device, and has this time to react.
"""

# Names are also printed on the terminals of operators, where an escape sequence is a command.
without_control_characters = RegexValidator(r"^[^\x00-\x1f\x7f-\x9f]*\Z", gettext_lazy("Leave out control characters."))
"""Raises Django's `ValidationError` for the name of a device that has control characters."""

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
    device, or empty. A forgotten device is recorded as a new one, with a new token.
    """
    alias = writer(Device)
    token = client.device_token
    forgotten: Device | None = None
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
                if not device.forgotten:
                    _note_sign_in(device, name, now)
                    return device, None, now
                forgotten = device
        if not known or forgotten or client.is_device_doubtful:
            # We did not issue this token, or not for this user, or somebody else may have a copy. A client must not
            # choose the token of its device.
            token = None
    token, now = token or new_token(), clock(alias)
    device = Device(
        user=user, token_digest=digest_of(token), name=name[:MAX_NAME] or default_name(client), created_at=now
    )
    device.last_sign_in = _order(device, now)
    insert(alias, device)
    if forgotten:
        # After a double click on "sign in", the other request may have replaced the device already.
        *_, last = _with_successors(Device.objects.using(alias).filter(pk=forgotten.pk))
        Device.objects.using(alias).filter(pk=last).update(replaced_by=device.pk)
    return device, token, now


@Read
def _devices(alias: str, **digest: Any) -> Any:
    """Select the devices with this token for update, with the database's clock."""
    devices = Device.objects.using(alias).select_for_update().filter(**digest).order_by("pk")
    return devices.values_list(*_COLUMNS, DatabaseNow())


def _note_sign_in(device: Device, name: str, now: datetime) -> None:
    device.last_sign_in, device.name = _order(device, now), name or device.name
    update(device, "last_sign_in", "name")


def _order(device: Device, now: datetime) -> UUID:
    """Return the value of ``last_sign_in`` for a sign-in at ``now``. The greater it is, the later was the sign-in.

    It is a UUIDv7, which begins with the time, so that two sign-ins within one instant have an order too. For a new
    device half of it is returned, which is less than the value of every device that is not new.
    """
    order = uuid7()
    return UUID(int=order.int >> 1) if now - device.created_at < NEW_FOR else order


def with_own_budget(user: Any, client: Client, session_id: UUID | None) -> UUID | None:
    """Return the id of the user's device that sends a request, if it has a budget of its own for wrong passwords.

    These are the `OWN_BUDGETS` devices on which the user signed in last, those that are not new before those that are.
    The device is known by its token or by its session. The statement is the same for every user, also for None.
    """
    digest = digest_of(client.device_token or "")
    rows = _latest(writer(Device), token_digest=digest, refresh_tokens__id=session_id or UUID(int=0))
    now = timezone.now()
    own = (id for id, owner, created_at in rows if user and owner == user.pk and is_credible(client, created_at, now))
    return next(own, None)


@Read
def _latest(alias: str, token_digest: Any, refresh_tokens__id: Any) -> Any:
    """Select the devices with this token or this session that are among the latest of their users.

    Each row is the device's id, its user, and when it was created.
    """
    devices = Device.objects.using(alias).filter(forgotten=False)
    latest = devices.filter(user=OuterRef("user")).order_by("-last_sign_in").values("last_sign_in")
    of_session = RefreshToken.objects.filter(id=refresh_tokens__id).values("device")[:1]
    return (
        devices.filter(Q(token_digest=token_digest) | Q(pk=Subquery(of_session)))
        .filter(last_sign_in__gte=Coalesce(Subquery(latest[OWN_BUDGETS - 1 : OWN_BUDGETS]), "last_sign_in"))
        .order_by("pk")
        .values_list("pk", "user", "created_at")
    )


def known_tokens(tokens: Iterable[str]) -> list[str]:
    """Return those of these device tokens that belong to a device."""
    by_digest = {digest_of(token): token for token in tokens}
    rows = Device.objects.using(writer(Device)).filter(token_digest__in=by_digest)
    return [by_digest[bytes(digest)] for digest in rows.values_list("token_digest", flat=True).distinct()]


def here(client: Client) -> list[UUID]:
    """Return the ids of the devices with the client's token, and of those that have replaced them since."""
    if client.device_token is None:
        return []
    rows = Device.objects.using(writer(Device))
    return _with_successors(rows.filter(token_digest=digest_of(client.device_token)))


def _with_successors(rows: QuerySet[Device]) -> list[UUID]:
    """Return the ids of these devices, then of those that have replaced them, and so on."""
    found: list[UUID] = []
    while pairs := list(rows.values_list("pk", "replaced_by")):
        found += [id for id, _ in pairs]
        rows = Device.objects.using(rows.db).filter(pk__in=[successor for _, successor in pairs if successor])
    return found


def forget_others(user: Any, client: Client, session_id: UUID | None = None) -> None:
    """Forget the user's devices except the client's and the session's.

    The next sign-in on a forgotten device counts as one on a new device. Call this before the sessions are ended: a
    sign-in on one of the devices that has begun is then committed, and its session ends too.
    """
    with durable(writer(Device)):
        forget(lock_others(user, client, session_id))


def lock_others(user: Any, client: Client, session_id: UUID | None = None) -> QuerySet[Device]:
    """Lock the user's devices except the client's and the session's, and return them.

    Devices are locked in the order of their ids, and before sessions, so that two transactions cannot deadlock.
    """
    rows = Device.objects.using(writer(Device)).filter(user=user, forgotten=False)
    if client.device_token:
        rows = rows.exclude(token_digest=digest_of(client.device_token))
    if session_id:
        rows = rows.exclude(pk__in=RefreshToken.objects.filter(id=session_id).values("device"))
    list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return rows


def forget(locked: QuerySet[Device]) -> None:
    """Forget these devices."""
    locked.update(forgotten=True, trusted_until=None, trusted_digest=None)


def rename(session: RefreshToken, name: str) -> None:
    """Set the name of the session's device."""
    session.device.name = name
    session.device.save(using=writer(RefreshToken), update_fields=["name"])
