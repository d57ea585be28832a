"""The revocation feed: which sessions were ended while their access tokens may still be valid.

Access tokens are verified without a query, so each process keeps the recent revocations in memory. The first request
after `TokenSettings.revocation_lag` reads the new ones from the database, with a short timeout. Other requests use the
previous answer. They wait for the new one only if the previous answer is old, because the process has just started or
was idle.

No revocation is missed. The cursor is not a time. On PostgreSQL it is ``pg_snapshot_xmin``, the oldest transaction that
was still open at the last read, so that a revocation that commits late is still read. SQLite commits transactions one
after another, so there it is the last row. A process that has just started loads the recent revocations before its
first answer. It keeps each revocation for the lifetime of an access token, counted from when it was read.

If the project's router reads revocations from a replica, the replica is asked first. Its answer counts if it is less
than `TokenSettings.revocation_lag` behind, so a revocation reaches a process within twice that time. If the replica is
further behind, does not know how far, has not reached the cursor, or does not answer, the primary is asked instead. The
cursor means the same on both, because a replica replays the transactions of the primary.

A flood (more than `FLOOD` sessions at once) is not kept in memory. Until it is over, each check asks the database.

Each tenant has a feed of its own (`current_feed`), which is read by a request of this tenant, and so in its schema. The
cursor counts the transactions of the whole server: read in another schema, it would pass by revocations of this one.

The feed also brings the users who were changed, by whatever means. The signal `users_changed` lets
`tokens.service.user_changes` decide which of their sessions end. Each turn sends some of these users, and a request of
a user who is still waiting sends this user first, so that nobody gets in only because many users were changed at once.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import Error, connections
from django.db.models import Max
from django.dispatch import Signal
from django.utils import timezone

from tokens import metrics
from tokens.conf import tenants, token_settings
from tokens.database.transactions import TIMEOUT_MS, bounded, reader, replication_lag, writer
from tokens.models import RefreshToken, Revocation
from tokens.service import acknowledgements, events

FLOOD = 50_000
"""How many revoked sessions a process keeps in memory."""
LATE_COMMIT = timedelta(minutes=10)
"""A process that starts also loads revocations that were written this long before their commit."""
MARGIN = 5.0
"""Seconds that a revocation is kept beyond the lifetime of an access token, because clocks differ."""
REPLICA_RETRY_AFTER = 30.0
"""Seconds for which a replica that did not answer is not asked again, because each try may delay a request."""

USERS_OF_A_TURN = 100
"""How many changed users one turn sends, because a request waits for it."""

users_changed = Signal()
"""The signal that is sent with the ``subjects`` of changed users. Its receiver ends sessions, and returns their ids."""

metrics.start_at_zero(metrics.FEED_READS, ("primary",), ("nobody",))
if reader(Revocation) != writer(Revocation):
    # Without a replica, this count would trigger the alert about a replica that is not read.
    metrics.start_at_zero(metrics.FEED_READS, ("replica",))


class FeedUpdate(NamedTuple):
    """The next cursor, and rows of `Revocation`: id, session (None in the row of a user), and user."""

    cursor: int
    rows: Sequence[tuple[int, UUID | None, str]]


class FeedUnavailable(Exception):
    """Revocations cannot be read, and `TokenSettings.revocation_strict` rejects all access tokens in that case."""


class RevocationFeed:
    """The revocations that one process knows. ``monotonic`` is its clock, in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._revoked: dict[int, float] = {}  # By the 128 bits of the id, because a UUID is hashed by Python code.
        self._cursor: int | None = None
        self._asked_at = self._answered_at = self._fresh_until = float("-inf")
        self._readable = True
        self._flooded_until: float | None = None
        self._changed: dict[str, int] = {}
        self._seen_changes: dict[int, float] = {}
        self._replica_retry_at = float("-inf")

    def knows_revoked(self, session_id: UUID, subject: str = "") -> bool | None:
        """Return what `is_revoked` would, if no query is needed for it, else None."""
        revoked = self._revoked  # Read before the flood, as in `is_revoked`.
        if self._monotonic() >= self._fresh_until or self._flooded_until is not None or subject in self._changed:
            return None
        return session_id.int in revoked

    def is_revoked(self, session_id: UUID, subject: str = "") -> bool:
        """Return whether the session was revoked. ``subject`` is its user. Raise `FeedUnavailable`."""
        now = self._monotonic()
        if self._is_due(now):
            self._turn(now)
        if subject and (subject in self._changed or self._flooded_until is not None):
            self._send_changed([subject])
        self._require_readable(subject)
        revoked = self._revoked  # Read before the flood: when a flood begins, this is emptied afterwards.
        if self._flooded_until is not None:
            alias = writer(RefreshToken)
            return not RefreshToken.objects.using(alias).filter(id=session_id, revoked_at=None).exists()
        return session_id.int in revoked

    def seconds_until_due(self) -> float:
        """Return after how many seconds revocations are to be read again. Zero or less: they are now."""
        return self._fresh_until - self._monotonic()

    def add(self, session_ids: Iterable[UUID]) -> None:
        """Add revocations that this process has just committed."""
        self._keep(list(session_ids), self._monotonic())

    def _require_readable(self, subject: str) -> None:
        is_unknown = not self._readable or subject in self._changed
        if is_unknown and token_settings().revocation_strict:
            raise FeedUnavailable

    def _is_due(self, now: float) -> bool:
        return self._cursor is None or self._may_ask(now) or self._is_outdated(now)

    def _may_ask(self, now: float) -> bool:
        return now - self._asked_at >= token_settings().revocation_lag.total_seconds()

    def _is_outdated(self, now: float) -> bool:
        """Return whether the last answer is so old that requests wait for the next one."""
        return self._readable and now - self._answered_at >= 2 * token_settings().revocation_lag.total_seconds()

    def _turn(self, now: float) -> None:
        try:
            if self._ask(now):
                acknowledgements.flush()
        except Error as error:
            events.log("acknowledgements not written", error=type(error).__name__)
        if waiting := self._some_changed():
            self._send_changed(waiting)

    def _some_changed(self) -> list[str]:
        # Python without a global lock does not iterate over a dictionary to which another thread adds.
        with self._changing:
            return list(islice(self._changed, USERS_OF_A_TURN))

    def _send_changed(self, subjects: Sequence[str]) -> None:
        """Let the sessions of changed users end. If the database does not answer, the users wait for the next turn."""
        sent = {subject: self._changed.get(subject) for subject in subjects}
        try:
            answers: Any = users_changed.send(sender=type(self), subjects=subjects)
        except Error as error:
            events.log("changed users not checked", error=type(error).__name__)
            return
        for _, ended in answers:
            self._keep(ended, self._monotonic())
        with self._changing:
            for subject, id in sent.items():
                # A change that was read meanwhile has another id, and has not been decided.
                if id is not None and self._changed.get(subject) == id:
                    del self._changed[subject]

    def _ask(self, now: float) -> bool:
        """Read the feed, unless another thread does so or has done so since ``now``.

        Return whether there was an answer.
        """
        patience = -1 if self._cursor is None else TIMEOUT_MS / 1000 if self._is_outdated(now) else 0
        if not self._lock.acquire(timeout=patience):
            return False
        try:
            if not self._may_ask(now):
                return False
            self._asked_at = self._monotonic()
            self._read(self._asked_at)
            self._answered_at, self._readable = self._asked_at, True
            self._fresh_until = self._asked_at + token_settings().revocation_lag.total_seconds()
        except Error as error:
            self._readable = False
            metrics.FEED_READS.labels("nobody").inc()
            events.log("feed unreadable", error=type(error).__name__)
        finally:
            self._lock.release()
        metrics.FEED_LAG_SECONDS.set(self._asked_at - self._answered_at)
        metrics.FEED_UNREADABLE.set(not self._readable)
        return self._readable

    def _read(self, now: float) -> None:
        flood_is_over = self._flooded_until is not None and self._flooded_until <= now
        since = None if flood_is_over else self._cursor
        news = self._news(since, now)
        if since is not None and news.cursor < since:
            # The database was restored to an earlier state. All of its revocations may be new to this process.
            news = _ask_primary(None)
        _forget_before(now, self._revoked)
        _forget_before(now, self._seen_changes)
        self._keep([session_id for _, session_id, _ in news.rows if session_id is not None], now)
        self._note_changes([(id, key) for id, session_id, key in news.rows if session_id is None], now)
        if len(news.rows) > FLOOD:
            self._begin_flood(now)
        if self._flooded_until is not None and self._flooded_until <= now:
            self._flooded_until = None
        self._cursor = news.cursor

    def _note_changes(self, changes: Iterable[tuple[int, str]], now: float) -> None:
        """Note the users who were changed. A row is read more than once while an older transaction is open."""
        for id, key in changes:
            if id not in self._seen_changes and (subject := _subject(key)) is not None:
                with self._changing:
                    self._changed[subject] = id
            self._seen_changes[id] = _kept_until(now)

    def _news(self, since: int | None, now: float) -> FeedUpdate:
        """Return what is new, from the replica if it is recent enough."""
        alias = reader(Revocation)
        if alias != writer(Revocation) and now >= self._replica_retry_at:
            try:
                if news := _ask_replica(alias, since):
                    metrics.FEED_READS.labels("replica").inc()
                    return news
            except Error as error:
                self._replica_retry_at = now + REPLICA_RETRY_AFTER
                events.log("replica unreadable", error=type(error).__name__)
        news = _ask_primary(since)
        metrics.FEED_READS.labels("primary").inc()
        return news

    def _keep(self, session_ids: list[UUID], now: float) -> None:
        for session_id in session_ids:
            self._revoked.setdefault(session_id.int, _kept_until(now))
        if len(self._revoked) > FLOOD:
            self._begin_flood(now)

    def _begin_flood(self, now: float) -> None:
        self._flooded_until = _kept_until(now)
        self._revoked = {}


def _kept_until(now: float) -> float:
    return now + token_settings().access_lifetime.total_seconds() + MARGIN


def _forget_before(now: float, kept: dict[Any, float]) -> None:
    """Forget the oldest entries. They are in the order of their ends."""
    for key, until in list(kept.items()):
        if until > now:
            break
        del kept[key]


def _subject(key: str) -> str | None:
    """Return the subject of the user with this primary key, as the trigger writes it: on SQLite without dashes."""
    try:
        return str(get_user_model()._meta.pk.to_python(key))
    except ValidationError:
        return None


_FEED = (
    "SELECT snapshot.xmin, revocation.id, revocation.session_id, revocation.user_key"
    " FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) AS snapshot"
    " LEFT JOIN tokens_revocation AS revocation ON {} LIMIT %s"
)
_RECENT = _FEED.format("revocation.created_at > %s")
_SINCE_CURSOR = _FEED.format("revocation.transaction_id >= %s")

feed = RevocationFeed()
"""The feed of this process, for requests of no tenant."""


def current_feed() -> RevocationFeed:
    """Return the feed of this process for the tenant of this request. It must be read in the tenant's schema."""
    return feed_of(tenants.current())


@lru_cache(maxsize=tenants.KEPT)
def feed_of(tenant: str) -> RevocationFeed:
    """Return the feed of this process for this tenant, or without one.

    One that was forgotten begins anew, as in a process that has just started.
    """
    return RevocationFeed(feed._monotonic) if tenant else feed


def _ask_primary(cursor: int | None) -> FeedUpdate:
    """Return the next cursor, and the sessions revoked since ``cursor`` (None: all recent ones)."""
    alias = writer(Revocation)
    if connections[alias].vendor == "postgresql":
        with bounded(alias):
            return _query(alias, cursor)
    rows = Revocation.objects.using(alias)
    last = rows.aggregate(last=Max("id"))["last"] or 0
    fresh = rows.filter(created_at__gt=_recently()) if cursor is None else rows.filter(id__gt=cursor)
    return FeedUpdate(last, list(fresh.values_list("id", "session_id", "user_key")[: FLOOD + 1]))


def _ask_replica(alias: str, cursor: int | None) -> FeedUpdate | None:
    """Return the same from a replica. None if it is too far behind, or does not know how far."""
    with bounded(alias):
        age = replication_lag(alias)
        if age is None or age >= token_settings().revocation_lag:
            return None
        news = _query(alias, cursor)
    return news if cursor is None or news.cursor >= cursor else None


def _query(alias: str, cursor: int | None) -> FeedUpdate:
    with connections[alias].cursor() as database:
        query, start = (_RECENT, _recently()) if cursor is None else (_SINCE_CURSOR, cursor)
        database.execute(query, [start, FLOOD + 1])
        rows = database.fetchall()
    return FeedUpdate(rows[0][0], [row for _, *row in rows if row[0] is not None])


def _recently() -> datetime:
    return timezone.now() - token_settings().access_lifetime - LATE_COMMIT
