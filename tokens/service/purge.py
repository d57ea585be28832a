"""Deletes what is past its retention: ended sessions, devices without sessions, events, and old revocations.

Rows are deleted in batches, each in a transaction of its own and in constant memory. The rows of a batch are neighbours
in the table: sessions are processed in the order of their ids, which is the order of their sign-ins (UUIDv7), up to the
last that can have ended so long ago. Parallel purges take turns. Requests are not affected, because nobody refreshes a
session that ended days ago.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from tokens.conf import FOREVER, token_settings
from tokens.database.expressions import Among, Found, Row
from tokens.database.statements import delete_returning
from tokens.database.transactions import clock, read_committed, take_turns, writer
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import events
from tokens.service.client import Client
from tokens.service.revocation_feed import LATE_COMMIT

ATTEMPTS = 10
"""How often a batch is tried. Each time a user has signed in on a device that was about to be deleted."""
CLOCKS_DIFFER = timedelta(days=1)
"""By how much clocks may differ: ids contain the time of a server, and the end of a session that of the database."""
_TURN = 0x6C61746368  # The advisory lock of purges.


@dataclass(frozen=True, slots=True)
class Purge:
    """The rows of one model that can be purged. ``name`` is shown to the operator, and so is ``limit``.

    ``rows`` are past their retention: they ended or were written before ``limit``. ``candidates`` include these rows
    and others, and can be found by the index on ``order``. ``counted_from``: older rows belong to another purge too,
    and are counted there.
    """

    name: str
    rows: QuerySet[Any]
    candidates: QuerySet[Any]
    order: tuple[str, ...]
    delete: Callable[[QuerySet[Any]], int]
    limit: datetime
    counted_from: datetime | None = None

    def count(self) -> int:
        """Return how many rows would be deleted."""
        rows = self.rows if self.counted_from is None else self.rows.filter(created_at__gte=self.counted_from)
        return rows.count()

    def limits(self) -> list[tuple[str, datetime, int]]:
        """Return for each of the parts its name, its limit, and how many rows would be deleted."""
        return [(self.name, self.limit, self.count())]

    def batches(self, size: int) -> Iterator[int]:
        """Delete ``rows`` batch by batch, and yield how many each batch has deleted. Devices are not counted.

        A batch is a range of ``size`` candidates in the index, so its cost does not depend on how many are left.
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
        """Delete one batch.

        Return how many rows that were, and the last key of the batch, or None if it was the last.
        """
        attempts = ATTEMPTS
        while True:
            try:
                # The commit waits for the disk, so that other sessions of the server need not wait for its pages.
                with read_committed(self.rows.db):
                    take_turns(self.rows.db, _TURN)
                    keys = self.candidates.filter(behind).order_by(*self.order).values_list(*self.order)
                    stop = keys[size - 1 : size].first()
                    batch = self.rows.filter(behind, self._compared(LessThanOrEqual, stop) if stop else Q())
                    found = batch.order_by(*self.order).select_for_update(skip_locked=True)[:size]
                    return self.delete(self._all.filter(Found(found))), stop
            except IntegrityError:
                # A user was signing in on a device without sessions. Now the new session is visible.
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
class PurgeGroup:
    """Several purges of one table that are one for the operator."""

    name: str
    parts: tuple[Purge, ...]

    def count(self) -> int:
        return sum(part.count() for part in self.parts)

    def limits(self) -> list[tuple[str, datetime, int]]:
        return [(part.name, part.limit, part.count()) for part in self.parts]

    def batches(self, size: int) -> Iterator[int]:
        for part in self.parts:
            yield from part.batches(size)


@dataclass(frozen=True, slots=True)
class Run:
    """A complete purge. ``deleted`` is the number of rows by name, and ``seconds`` is the duration."""

    ended_at: datetime
    deleted: Mapping[str, int]
    seconds: float


def record(deleted: Mapping[str, int], seconds: float) -> None:
    """Record a complete purge as a security event."""
    reason = " ".join([*(f"{name}={count}" for name, count in deleted.items()), f"seconds={seconds:.3f}"])
    events.write([events.new(SecurityEvent.Kind.PURGED, clock(writer(SecurityEvent)), Client(), reason=reason)])


def last_run() -> Run | None:
    """Return the last complete purge, or None if no event of one is left."""
    rows = SecurityEvent.objects.using(writer(SecurityEvent)).filter(kind=SecurityEvent.Kind.PURGED)
    row = rows.order_by("-id").values_list("created_at", "reason").first()
    if row is None:
        return None
    said = dict(part.split("=") for part in row[1].split())
    seconds = float(said.pop("seconds"))
    return Run(row[0], {name: int(count) for name, count in said.items()}, seconds)


def purges() -> list["Purge | PurgeGroup"]:
    """Return what can be purged now, by the database's clock. What is kept for ever is left out."""
    found = token_settings()
    alias = writer(RefreshToken)
    now = clock(alias)
    revocations_until = now - found.access_lifetime - LATE_COMMIT - timedelta(minutes=1)
    kinds = SecurityEvent.ATTEMPTS if found.attempt_retention != FOREVER else ()
    events_until = None if found.event_retention == FOREVER else now - found.event_retention
    events_of = [_attempts(alias, kind, now - found.attempt_retention, events_until) for kind in kinds]
    if events_until is not None:
        events_of.insert(0, _by_date("events", SecurityEvent, events_until))
    return [
        *([] if found.session_retention == FOREVER else [_sessions(alias, now - found.session_retention)]),
        PurgeGroup("events", tuple(events_of)),
        _by_date("revocations", Revocation, revocations_until),
    ]


def _sessions(alias: str, instant: datetime) -> Purge:
    candidates = RefreshToken.objects.using(alias).filter(id__lt=events.first_id(instant + CLOCKS_DIFFER))
    return Purge("sessions", candidates.ended_before(instant), candidates, ("id",), _delete_sessions, instant)


def _attempts(alias: str, kind: str, instant: datetime, counted_from: datetime | None) -> Purge:
    """Return what can be purged of a kind that anybody can cause. The index of events by kind finds it."""
    candidates = SecurityEvent.objects.using(alias).filter(kind=kind, id__lt=events.first_id(instant + CLOCKS_DIFFER))
    rows = candidates.filter(created_at__lt=instant)
    return Purge(kind, rows, candidates, ("id",), _delete_rows, instant, counted_from)


def _by_date(name: str, model: type[Model], instant: datetime) -> Purge:
    rows = model._default_manager.using(writer(model)).filter(created_at__lt=instant)
    return Purge(name, rows, rows, ("created_at", "id"), _delete_rows, instant)


def _delete_rows(rows: QuerySet[Any]) -> int:
    # These rows have no signals and no cascades, and Django would read all of them to find out.
    deleted: int = rows._raw_delete(rows.db)
    return deleted


def _delete_sessions(rows: QuerySet[RefreshToken]) -> int:
    found = delete_returning(rows, "device_id")
    # A subquery of one row is an index lookup for each device. Some planners turn NOT EXISTS into a join with all
    # sessions.
    session = Subquery(RefreshToken.objects.filter(device=OuterRef("pk")).values("pk")[:1])
    devices = Device.objects.using(writer(Device)).alias(session=session)
    _delete_rows(devices.filter(Among("pk", found), session=None))
    return len(found)
