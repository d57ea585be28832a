"""The revocation feed: which sessions ended while access tokens of theirs may still live.

Access tokens are checked without a query, so each process remembers what was revoked lately. The first request after
`TokenSettings.revocation_lag` asks for what is new, in line and with a short timeout; the others use the last answer.

Nothing slips past. The cursor is not a time: on PostgreSQL it is ``pg_snapshot_xmin``, the oldest transaction that had
not ended when the feed was last read, so that a revocation which commits late is still ahead of it. On SQLite, where
transactions come one after another, it is the last row. A process that has just started loads what is recent before
its first answer. What was read is kept for as long as an access token lives, counted from when it was seen.

A flood (over `FLOOD` sessions at once) is not kept in memory: until it is over each check asks the database.
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from django.db import Error, connections, transaction
from django.db.models import Max
from django.utils import timezone

from tokens.conf import token_settings
from tokens.database import writer
from tokens.models import RefreshToken, Revocation
from tokens.service import acknowledgements, events

FLOOD = 50_000
LATE_COMMIT = timedelta(minutes=10)
"""How long before its commit a revocation may have been written, and still be loaded by a process that starts."""
TIMEOUT_MS = 1000
MARGIN = 5.0
"""Seconds that an entry is kept beyond an access token's life: clocks differ."""


class FeedUnavailable(Exception):
    """Revocations cannot be read, and `TokenSettings.revocation_strict` says that then no access token is good."""


class RevocationFeed:
    """What one process knows of revocations. ``monotonic``: its clock, in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._revoked: dict[UUID, float] = {}
        self._cursor: int | None = None
        self._asked_at = float("-inf")
        self._read_at = float("-inf")
        self._flooded_until: float | None = None

    def needs_database(self) -> bool:
        """Whether the next answer has to ask the database."""
        return self._is_due(self._monotonic()) or self._flooded_until is not None

    def is_revoked(self, session_id: UUID) -> bool:
        """Whether the session has ended before its time. Raises `FeedUnavailable`."""
        now = self._monotonic()
        if self._is_due(now):
            self._turn(now)
        if self._read_at < self._asked_at and token_settings().revocation_strict:
            raise FeedUnavailable
        if self._flooded_until is not None:
            alias = writer(RefreshToken)
            return not RefreshToken.objects.using(alias).filter(id=session_id, revoked_at=None).exists()
        return session_id in self._revoked

    def add(self, session_ids: Iterable[UUID]) -> None:
        """Know at once of revocations that this process has committed."""
        self._keep(list(session_ids), self._monotonic())

    def _is_due(self, now: float) -> bool:
        return self._cursor is None or self._is_stale(now)

    def _is_stale(self, now: float) -> bool:
        return now - self._asked_at >= token_settings().revocation_lag.total_seconds()

    def _turn(self, now: float) -> None:
        # Whoever comes first asks; only a process that knows nothing yet makes the others wait for the answer.
        if not self._lock.acquire(blocking=self._cursor is None):
            return
        try:
            if not self._is_stale(now):
                return  # Somebody has just asked, while this request waited.
            self._asked_at = now
            acknowledgements.flush()
            self._read(now)
            self._read_at = now
        except Error as error:
            events.log("feed unreadable", error=type(error).__name__)
        finally:
            self._lock.release()

    def _read(self, now: float) -> None:
        for session_id, until in list(self._revoked.items()):
            if until > now:
                break
            del self._revoked[session_id]
        if self._flooded_until is not None and self._flooded_until <= now:
            self._flooded_until, self._cursor = None, None
        cursor, session_ids = _query(self._cursor)
        if self._cursor is not None and cursor < self._cursor:
            # The database went back (a restore): what it holds now is new to us.
            cursor, session_ids = _query(None)
        self._keep(session_ids, now)
        self._cursor = cursor

    def _keep(self, session_ids: list[UUID], now: float) -> None:
        until = now + token_settings().access_lifetime.total_seconds() + MARGIN
        for session_id in session_ids:
            self._revoked.setdefault(session_id, until)
        if len(self._revoked) > FLOOD:
            self._revoked.clear()
            self._flooded_until = until


_FEED = (
    "SELECT snapshot.xmin, revocation.session_id"
    " FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) AS snapshot"
    " LEFT JOIN tokens_revocation AS revocation ON {} LIMIT %s"
)
_RECENT = _FEED.format("revocation.created_at > %s")
_SINCE_CURSOR = _FEED.format("revocation.transaction_id >= %s")

feed = RevocationFeed()
"""The feed of this process."""


def _query(cursor: int | None) -> tuple[int, list[UUID]]:
    """Return the next cursor, and the sessions revoked at or after this one (None: all that are recent)."""
    alias = writer(Revocation)
    connection = connections[alias]
    since = timezone.now() - token_settings().access_lifetime - LATE_COMMIT
    if connection.vendor != "postgresql":
        rows = Revocation.objects.using(alias)
        last = rows.aggregate(last=Max("id"))["last"] or 0
        fresh = rows.filter(created_at__gt=since) if cursor is None else rows.filter(id__gt=cursor)
        return last, list(fresh.values_list("session_id", flat=True)[: FLOOD + 1])
    in_transaction = connection.in_atomic_block
    with transaction.atomic(using=alias), connection.cursor() as database:
        if not in_transaction:
            database.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
        query, start = (_RECENT, since) if cursor is None else (_SINCE_CURSOR, cursor)
        database.execute(query, [start, FLOOD + 1])
        rows = database.fetchall()
    return rows[0][0], [session_id for _, session_id in rows if session_id is not None]
