"""How many sessions there are, and what happened in the last hours, for people who look after a site.

Everything comes from the tables of sessions and security events, in at most three statements, each bounded in time
(`tokens.database.transactions.bounded`). They read from the database for reads, which may be a replica.

No index covers how long a session lives, because a refresh would have to write it. So the live sessions are counted in
one scan of the table. On PostgreSQL a table of more than `EXACT_UP_TO` rows is not read as a whole: a random sample of
its pages is, of about that many rows (``TABLESAMPLE SYSTEM``), and its counts are extrapolated. The events are found by
the index on kind and id, because an id begins with the time (UUIDv7).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, connections
from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from tokens import metrics
from tokens.conf import token_settings
from tokens.database.transactions import bounded, clock, reader
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import events

EXACT_UP_TO = 200_000
"""Rows up to which the table of sessions is read as a whole."""
HOURS = 24
"""How many hours are shown, of which the last one is not over."""
RECENT = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(hours=1)
"""By how much the clock of a server, which an id contains, may differ from that of the database."""

_Kind = SecurityEvent.Kind
SIGNED_IN = (_Kind.SIGNED_IN,)
REFUSED = (_Kind.SIGN_IN_FAILED, _Kind.UNPROVEN)
"""Attempts that were refused: a sign-in, and a refresh without the key of the device."""
ALARMS = (_Kind.ALARM, _Kind.REUSE_DETECTED, _Kind.RECOVERIES_EXHAUSTED, _Kind.PASSKEY_COPIED)
"""Signs of theft."""


@dataclass(frozen=True, slots=True)
class Live:
    """The live sessions. ``by_mode`` has those of each storage mode. ``is_exact``: whether they were all counted."""

    by_mode: Mapping[str, int]
    bound: int
    recent: int
    is_exact: bool

    @property
    def count(self) -> int:
        return sum(self.by_mode.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """What `overview` found. ``live`` and ``happened`` are None if the database took too long to count.

    ``hours`` are the beginnings of the hours. ``happened`` has the counts of each kind of event in each of these hours.
    """

    now: datetime
    live: Live | None
    hours: list[datetime]
    happened: Mapping[str, list[int]] | None

    @property
    def recent_since(self) -> datetime:
        return self.now - RECENT


def overview() -> Overview:
    """Return the counts. This takes three statements on PostgreSQL, besides those of the transactions."""
    alias = reader(RefreshToken)
    now = clock(alias)
    first = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    hours = [first + timedelta(hours=number) for number in range(HOURS)]
    return Overview(now, _live(alias, now), hours, _happened(alias, hours))


def _live(alias: str, now: datetime) -> Live | None:
    rows = (
        RefreshToken.objects.using(alias)
        .live()
        .order_by()
        .values_list("mode")
        .annotate(
            every=Count("pk"),
            bound=Count("pk", filter=Q(bound_at__isnull=False)),
            recent=Count("pk", filter=Q(since__gte=now - RECENT)),
        )
    )
    try:
        with bounded(alias):
            share = _share_to_read(alias)
            found = _sampled(alias, rows, share) if share < 1 else list(rows)
    except OperationalError:
        return None
    by_mode = {mode: round(count / share) for mode, count, _bound, _recent in found}
    bound, recent = (round(sum(row[column] for row in found) / share) for column in (2, 3))
    return Live(by_mode, bound, recent, is_exact=share == 1)


def _share_to_read(alias: str) -> float:
    """Return which share of the table of sessions is to be read."""
    if connections[alias].vendor != "postgresql":
        return 1
    with connections[alias].cursor() as cursor:
        # What PostgreSQL noted at the last ANALYZE. It is below 0 before the first one.
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [_table(alias)])
        estimated: float = cursor.fetchone()[0]
    return min(1.0, EXACT_UP_TO / max(estimated, 1))


def _sampled(alias: str, rows: Any, share: float) -> list[tuple[Any, ...]]:
    sql, params = rows.query.get_compiler(alias).as_sql()
    source = f"FROM {_table(alias)}"
    with connections[alias].cursor() as cursor:
        cursor.execute(sql.replace(source, f"{source} TABLESAMPLE SYSTEM ({100 * share:.6f})", 1), params)
        return list(cursor.fetchall())


def _table(alias: str) -> str:
    return connections[alias].ops.quote_name(RefreshToken._meta.db_table)


def _happened(alias: str, hours: list[datetime]) -> dict[str, list[int]] | None:
    kinds = (*SIGNED_IN, *REFUSED, *ALARMS)
    rows = (
        SecurityEvent.objects.using(alias)
        .filter(kind__in=kinds, id__gte=events.first_id(hours[0] - _CLOCKS_DIFFER), created_at__gte=hours[0])
        .order_by()
        .annotate(hour=TruncHour("created_at", tzinfo=UTC))
        .values_list("kind", "hour")
        .annotate(Count("pk"))
    )
    found = {str(kind): [0] * HOURS for kind in kinds}
    try:
        with bounded(alias):
            for kind, hour, count in rows:
                place = hours.index(hour) if hour in hours else HOURS - 1  # A minute after the clock was read.
                found[kind][place] += count
    except OperationalError:
        return None
    return found


def are_of_all_processes() -> bool:
    """Return whether `refreshes` are those of all processes of this machine."""
    return metrics.shares_counts()


def refreshes() -> Iterator[tuple[str, int]]:
    """Yield how many refresh tokens were presented with each outcome, as the processes of this machine have counted.

    Without `PROMETHEUS_MULTIPROC_DIR`, only this process has. Nothing is counted without prometheus-client. With
    TENANT_HOOK nothing is yielded: the processes count all tenants together, and the page is that of one.
    """
    if token_settings().tenant_hook:
        return
    by_outcome: dict[str, int] = {}
    for labels, count in metrics.counts("latchkey_refreshes"):
        by_outcome[labels["outcome"]] = by_outcome.get(labels["outcome"], 0) + int(count)
    yield from sorted(by_outcome.items())
