"""Deleting what is past its retention: ended sessions, devices that had no other, events, and read revocations.

In batches, each a transaction of its own, in constant memory, reading about the rows that it deletes. Two purges side
by side skip each other's rows; live traffic is not touched, for nobody rotates a session that ended days ago.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from tokens.conf import token_settings
from tokens.database import clock, writer
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service.feed import LATE_COMMIT


@dataclass(frozen=True, slots=True)
class Purge:
    """What can be purged of one model. ``name``: what a person calls it; ``rows``: those past their retention."""

    name: str
    rows: QuerySet[Any]
    order: tuple[str, ...]
    delete: Callable[[list[Any]], int]

    def batches(self, size: int) -> Iterator[int]:
        """Delete the rows in batches of ``size``; yield how many rows each deleted, devices included."""
        last: tuple[Any, ...] | None = None
        while True:
            with transaction.atomic(using=self.rows.db):
                rows = self.rows if last is None else self.rows.filter(_after(self.order, last))
                found = list(rows.order_by(*self.order).select_for_update(skip_locked=True)[:size])
                deleted = self.delete(found) if found else 0
            if not found:
                return
            last = tuple(getattr(found[-1], name) for name in self.order)
            yield deleted


def purges() -> list[Purge]:
    """Return what is to be purged now, by the database's clock."""
    found = token_settings()
    alias = writer(RefreshToken)
    now = clock(alias)
    revocations_until = now - found.access_lifetime - LATE_COMMIT - timedelta(minutes=1)
    return [
        Purge("sessions", _sessions(alias, now - found.session_retention), ("ends_on", "id"), _delete_sessions),
        _by_date("events", SecurityEvent, now - found.event_retention),
        _by_date("revocations", Revocation, revocations_until),
    ]


def _sessions(alias: str, instant: datetime) -> QuerySet[RefreshToken]:
    return RefreshToken.objects.using(alias).ended_before(instant).only("id", "ends_on", "device_id")


def _by_date(name: str, model: type[Model], instant: datetime) -> Purge:
    rows = model._default_manager.using(writer(model)).filter(created_at__lt=instant).only("pk", "created_at")
    return Purge(name, rows, ("created_at", "pk"), _delete_rows)


def _after(order: tuple[str, ...], last: tuple[Any, ...]) -> Any:
    """The rows behind ``last`` in this order: the next batch starts there, and reads nothing twice."""
    first, second = order
    # The first condition says nothing new; it is what an index can start from.
    return Q(**{f"{first}__gte": last[0]}) & (Q(**{f"{first}__gt": last[0]}) | Q(**{f"{second}__gt": last[1]}))


def _delete_rows(rows: list[Any]) -> int:
    model = type(rows[0])
    rows_of = model._base_manager.using(writer(model)).filter(pk__in=[row.pk for row in rows])
    # No signal and no cascade hangs on these rows, and Django would read them again to see to both.
    deleted: int = rows_of._raw_delete(rows_of.db)
    return deleted


def _delete_sessions(rows: list[RefreshToken]) -> int:
    deleted = _delete_rows(rows)
    sessions = RefreshToken.objects.filter(device=OuterRef("pk"))
    devices = list(
        Device.objects.using(writer(Device))
        .filter(~Exists(sessions), pk__in={row.device_id for row in rows})
        .select_for_update(skip_locked=True)
        .only("pk")
    )
    return deleted + (_delete_rows(devices) if devices else 0)
