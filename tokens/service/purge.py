"""Deleting what is past its retention: ended sessions, devices that had no other, events, and read revocations.

In batches, each a transaction of its own, in constant memory, and each of rows that lie side by side: sessions are gone
through in the order of their ids, which is that of their sign-ins (UUIDv7), as far as one can have ended so long ago.
Two purges side by side take turns; live traffic is not touched, for nobody rotates a session that ended days ago.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from tokens.conf import token_settings
from tokens.database.expressions import Among, Found, Row
from tokens.database.statements import delete_returning
from tokens.database.transactions import clock, take_turns, writer
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import events
from tokens.service.client import Client
from tokens.service.revocation_feed import LATE_COMMIT

ATTEMPTS = 10
"""At a batch. Each means that somebody else's sign-in went through."""
CLOCKS_DIFFER = timedelta(days=1)
"""An id is of the time on a node's clock, an end on the database's."""
_TURN = 0x6C61746368  # Of purges, among the locks that others take of the same database.


@dataclass(frozen=True, slots=True)
class Purge:
    """What can be purged of one model. ``name``: what a person calls it; ``rows``: those past their retention.

    ``candidates``: these rows and others, such as an index on ``order`` can tell alone.
    """

    name: str
    rows: QuerySet[Any]
    candidates: QuerySet[Any]
    order: tuple[str, ...]
    delete: Callable[[QuerySet[Any]], int]

    def batches(self, size: int) -> Iterator[int]:
        """Delete the rows among each ``size`` candidates; yield how many, of each batch. Devices are not counted.

        A batch goes from one key to another, both read from the index: so it costs the same however many are left.
        """
        behind = Q()
        while True:
            deleted, stop = self._batch(behind, size)
            if deleted:
                yield deleted
            if stop is None:
                return
            behind = self._compared(GreaterThan, stop)

    def _batch(self, behind: Q, size: int) -> tuple[int, tuple[Any, ...] | None]:
        """Delete one batch; return how many rows that were, and the last key, if there may be more."""
        attempts = ATTEMPTS
        while True:
            try:
                # Its log is on the disk then: whoever needs the room of its pages in the server's memory need not wait.
                with transaction.atomic(using=self.rows.db):
                    take_turns(self.rows.db, _TURN)
                    keys = self.candidates.filter(behind).order_by(*self.order).values_list(*self.order)
                    stop = keys[size - 1 : size].first()
                    batch = self.rows.filter(behind, self._compared(LessThanOrEqual, stop) if stop else Q())
                    found = batch.order_by(*self.order).select_for_update(skip_locked=True)[:size]
                    return self.delete(self._all.filter(Found(found))), stop
            except IntegrityError:
                # Somebody was just signing in on a device that had no session left. Now their session can be seen.
                attempts -= 1
                if not attempts:
                    raise

    @property
    def _all(self) -> QuerySet[Any]:
        found: QuerySet[Any] = self.rows.model._base_manager.using(self.rows.db)
        return found

    def _compared(self, how: Callable[[Row, Row], Any], key: tuple[Any, ...]) -> Q:
        fields = [self.rows.model._meta.get_field(name) for name in self.order]
        values = [Value(value, field) for value, field in zip(key, fields, strict=True)]
        return Q(how(Row(*self.order), Row(*values)))


@dataclass(frozen=True, slots=True)
class Run:
    """A purge that came to its end at ``ended_at``. ``deleted``: how many rows of each name; ``seconds``: how long."""

    ended_at: datetime
    deleted: Mapping[str, int]
    seconds: float


def record(deleted: Mapping[str, int], seconds: float) -> None:
    """Write down that a purge came to its end: as an event, for whoever asks where a row has gone."""
    reason = " ".join([*(f"{name}={count}" for name, count in deleted.items()), f"seconds={seconds:.3f}"])
    events.write([events.record(SecurityEvent.Kind.PURGED, clock(writer(SecurityEvent)), Client(), reason=reason)])


def last_run() -> Run | None:
    """Return the last purge that came to its end, as far as events go back."""
    rows = SecurityEvent.objects.using(writer(SecurityEvent)).filter(kind=SecurityEvent.Kind.PURGED)
    row = rows.order_by("-id").values_list("created_at", "reason").first()
    if row is None:
        return None
    said = dict(part.split("=") for part in row[1].split())
    seconds = float(said.pop("seconds"))
    return Run(row[0], {name: int(count) for name, count in said.items()}, seconds)


def purges() -> list[Purge]:
    """Return what is to be purged now, by the database's clock."""
    found = token_settings()
    alias = writer(RefreshToken)
    now = clock(alias)
    revocations_until = now - found.access_lifetime - LATE_COMMIT - timedelta(minutes=1)
    return [
        _sessions(alias, now - found.session_retention),
        _by_date("events", SecurityEvent, now - found.event_retention),
        _by_date("revocations", Revocation, revocations_until),
    ]


def _sessions(alias: str, instant: datetime) -> Purge:
    candidates = RefreshToken.objects.using(alias).filter(id__lt=_first_id(instant + CLOCKS_DIFFER))
    return Purge("sessions", candidates.ended_before(instant), candidates, ("id",), _delete_sessions)


def _first_id(instant: datetime) -> UUID:
    """Return what no UUIDv7 of this millisecond, or of a later one, is less than (RFC 9562 section 5.7)."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)


def _by_date(name: str, model: type[Model], instant: datetime) -> Purge:
    rows = model._default_manager.using(writer(model)).filter(created_at__lt=instant)
    return Purge(name, rows, rows, ("created_at", "id"), _delete_rows)


def _delete_rows(rows: QuerySet[Any]) -> int:
    # No signal and no cascade hangs on these rows, and Django would read them to see to both.
    deleted: int = rows._raw_delete(rows.db)
    return deleted


def _delete_sessions(rows: QuerySet[RefreshToken]) -> int:
    found = delete_returning(rows, "device_id")
    # A subquery of one row is looked up for each device; NOT EXISTS is a join to some planners, with all sessions.
    session = Subquery(RefreshToken.objects.filter(device=OuterRef("pk")).values("pk")[:1])
    devices = Device.objects.using(writer(Device)).alias(session=session)
    _delete_rows(devices.filter(Among("pk", found), session=None))
    return len(found)
