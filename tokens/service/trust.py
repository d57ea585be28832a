"""Trusted devices: for a while, their user signs in on them without a second factor (the setting TRUST_DEVICES_FOR).

The user says so at the second step of a sign-in, and the device's row has the time until which it holds. The row also
has a digest of the password. So a new password ends it, whichever way it was set, also by a command or by SQL.

`end` ends it for all devices of a user: after the alarm, the end of other sessions, or the removal of a factor
(`end_if_factor_removed`). A sign-in without the second factor is decided again under the locks of the user and the
device (`holds`), so that none overlaps what ends it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tokens.conf import token_settings
from tokens.database.expressions import DatabaseNow
from tokens.database.transactions import durable, writer
from tokens.models import Device, SecurityEvent
from tokens.service import auth_hash, devices
from tokens.service.client import Client

BATCH = 1000
"""Devices of which one transaction ends the trust."""
ENDING = frozenset({SecurityEvent.Kind.FACTOR_REMOVED, SecurityEvent.Kind.FACTORS_RESET})
"""Security events that end it for their user."""


def is_trusted(user: Any, client: Client) -> bool:
    """Return whether the client is a trusted device of this user.

    A device token that somebody else may have planted does not count.
    """
    if client.device_token is None or client.is_device_doubtful or not token_settings().trust_devices_for:
        return False
    rows = Device.objects.using(writer(Device)).filter(
        user=user.pk, token_digest=devices.digest_of(client.device_token)
    )
    device = rows.filter(forgotten=False, trusted_until__gt=DatabaseNow()).first()
    return device is not None and _is_of_password(device, user)


def holds(device: Device, user: Any, now: datetime) -> bool:
    """Return whether a device is trusted at this time. The rows of the device and the user are locked."""
    if device.forgotten or device.trusted_until is None or not token_settings().trust_devices_for:
        return False
    return now < device.trusted_until and _is_of_password(device, user)


def begin(device: Device, user: Any, now: datetime) -> None:
    """Trust a locked device of a locked user from now on, if the site allows it."""
    if period := token_settings().trust_devices_for:
        row = Device.objects.using(device._state.db or writer(Device)).filter(pk=device.pk)
        row.update(trusted_until=now + period, trusted_digest=auth_hash.digest_of(user))


def end(**which: Any) -> None:
    """Trust these devices no more. ``which`` is a filter of devices, such as ``user``. Empty: all of them.

    Lock the user before, and call this before sessions are locked.
    """
    alias = writer(Device)
    rows = Device.objects.using(alias).filter(trusted_until__isnull=False, **which).order_by("pk")
    while True:
        with durable(alias):
            keys = list(rows.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True)[:BATCH])
            if keys:
                Device.objects.using(alias).filter(pk__in=keys).update(trusted_until=None, trusted_digest=None)
        if len(keys) < BATCH:
            return


@contextmanager
def ending(**which: Any) -> Iterator[None]:
    """End the trust of these devices before and after the block, which ends sessions. Their users are not locked.

    The trust is ended twice, because a second step may be answered while the block runs.
    """
    end(**which)
    yield
    end(**which)


def end_if_factor_removed(event: SecurityEvent) -> None:
    """End the trust of all devices of a user of whom this event is about to be written, if it is one that ends it."""
    if event.kind in ENDING and event.user_id is not None:
        end(user=event.user_id)


def _is_of_password(device: Device, user: Any) -> bool:
    return auth_hash.is_same_password(bytes(device.trusted_digest or b""), user)
