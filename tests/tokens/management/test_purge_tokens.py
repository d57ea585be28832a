"""``purge_tokens`` deletes what is past its retention, to the second, and nothing else, with any number of rows."""

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError
from django.db import connection, transaction
from django.db.models.signals import post_init
from uuid_utils.compat import uuid7

from tests.tokens.management.steps import output_of
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import explained, query, statements
from tests.tokens.service.threads import in_thread, wait_until_blocked
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import purge, reporting
from tokens.service.revocation import revoke_all
from tokens.service.revocation_feed import LATE_COMMIT, feed

pytestmark = [pytest.mark.django_db, pytest.mark.long]

LAST_LINE = re.compile(r"\d+ rows? (would be deleted\. Counted|deleted) in \d+\.\d s\n")
RETENTION, EVENT_RETENTION = timedelta(days=30), timedelta(days=400)
INSTANT, SECOND, DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)


def id_at(opened_at: datetime, number: int) -> UUID:
    """Return the UUIDv7 of this millisecond with this number."""
    return UUID(int=(int(opened_at.timestamp() * 1000) << 80) + (7 << 76) + (2 << 62) + number)


class Rows:
    """Makes rows that are copies of a real session. That session is live and must stay."""

    def __init__(self, live: RefreshToken, now: datetime) -> None:
        self.live = live
        self.long_ago = now - RETENTION * 2
        self._values = {field.attname: getattr(live, field.attname) for field in live._meta.concrete_fields}

    def devices(self, count: int) -> list[Device]:
        user_id, now = self.live.user_id, self.live.created_at
        return Device.objects.bulk_create(
            Device(user_id=user_id, token_digest=uuid7().bytes * 2, name="old", created_at=now) for _ in range(count)
        )

    def sessions(
        self, count: int, *, device: Device | None = None, opened_at: datetime | None = None, **values: Any
    ) -> list[RefreshToken]:
        """Make sessions with these values. Their ids hold ``opened_at``, by default long before the test's clock."""
        devices = [device] * count if device else self.devices(count)
        ids = [uuid7() if opened_at is None else id_at(opened_at, number) for number in range(count)]
        return RefreshToken.objects.bulk_create(
            RefreshToken(**{**self._values, "id": id, "device_id": at.pk, **values})
            for id, at in zip(ids, devices, strict=True)
        )

    def revoked(self, count: int, at: datetime | None = None, **values: Any) -> list[RefreshToken]:
        """Make sessions that were revoked at this time, by default so long ago that a purge deletes them."""
        return self.sessions(count, revoked_at=at or self.long_ago, revoked_reason="signed_out", **values)

    def are_all_purged(self) -> bool:
        """Return whether the live session and its device are the only ones left."""
        return [*RefreshToken.objects.all(), *Device.objects.all()] == [self.live, self.live.device]


@pytest.fixture
def rows(user: Any, clock: Any) -> Rows:
    """A maker of rows next to a live session. Without that session a purge of everything would go unnoticed."""
    return Rows(Holder(user, remember=True).row, clock.now)


@pytest.fixture
def reads() -> Iterator[Counter[str]]:
    """Counts the rows of each model that become objects. Without it a purge that loads all rows would go unnoticed."""
    counts: Counter[str] = Counter()

    def count(sender: Any, **signal: Any) -> None:
        counts[sender.__name__] += 1

    post_init.connect(count)
    yield counts
    post_init.disconnect(count)


def run(*arguments: str) -> str:
    *lines, last = output_of("purge_tokens", *arguments).splitlines(keepends=True)
    assert LAST_LINE.fullmatch(last)
    return "".join(lines)


def sessions_of(size: int) -> Iterator[int]:
    """Purge sessions in batches of this size, one batch at each step."""
    return purge.purges()[0].batches(size)


def exist(*sessions: RefreshToken) -> list[bool]:
    found = set(RefreshToken.objects.values_list("pk", flat=True))
    return [session.pk in found for session in sessions]


class TestRetention:
    @pytest.mark.parametrize("how", ["revoked", "unused", "too old", "revoked long before it would have expired"])
    def test_of_an_ended_session_is_kept_to_the_second(self, how, rows, clock):
        oldest = clock.now - RETENTION
        for ended, is_purged in [(oldest, False), (oldest + SECOND, False), (oldest - INSTANT, True)]:
            later = ended + 5 * DAY
            values = {
                "revoked": {"revoked_at": ended},
                "unused": {"idle_expires_at": ended, "expires_at": later},
                "too old": {"idle_expires_at": later, "expires_at": ended},
                "revoked long before it would have expired": {"revoked_at": ended, "idle_expires_at": later},
            }[how]
            sessions = rows.sessions(1, **values)
            run()
            assert exist(*sessions) == [not is_purged], ended

    def test_of_sessions_may_be_one_second(self, rows, clock, settings):
        settings.TOKENS = {"SESSION_RETENTION": 1}
        sessions = rows.revoked(1, clock.now)
        clock.forward(1)
        assert "sessions: 0 deleted" in run()
        clock.forward(0.001)
        assert "sessions: 1 deleted" in run()
        assert exist(*sessions, rows.live) == [False, True]

    def test_does_not_concern_a_live_session(self, rows, clock):
        long_ago = clock.now - 1000 * DAY
        old = rows.sessions(1, created_at=long_ago, since=long_ago, authenticated_at=long_ago)
        run()
        assert exist(*old, rows.live) == [True, True]

    def test_is_compared_only_for_sessions_with_ids_that_are_old_enough(self, rows, clock):
        """A session's id holds the time when it was opened, by a clock that may be a little wrong."""
        bound = clock.now - RETENTION + DAY
        sessions = [rows.revoked(1, opened_at=at)[0] for at in (bound - SECOND, bound + SECOND)]
        run()
        assert exist(*sessions) == [False, True]

    @pytest.mark.parametrize(
        ("age", "stays"),
        [(EVENT_RETENTION, True), (EVENT_RETENTION + INSTANT, False), (RETENTION * 2, True)],
        ids=["as old as events may be", "an instant older", "older than sessions may be"],
    )
    def test_of_events_is_another_and_kept_to_the_second(self, age, stays, rows, clock):
        SecurityEvent.objects.update(created_at=clock.now - age)
        assert f"events: {0 if stays else 2} deleted" in run()
        assert SecurityEvent.objects.exclude(kind="purged").count() == (2 if stays else 0)

    def test_of_an_event_may_be_longer_than_that_of_its_session_and_device(self, rows):
        [session] = rows.revoked(1)
        ids = {"session_id": session.pk, "device_id": session.device_id}
        SecurityEvent.objects.create(kind="revoked", created_at=rows.long_ago, **ids)
        run()
        assert SecurityEvent.objects.filter(kind="revoked").values(*ids).get() == ids
        assert exist(session) == [False]

    def test_of_a_revocation_lasts_until_no_access_token_needs_it(self, rows, clock, settings):
        settings.TOKENS = {"ACCESS_LIFETIME": 300}
        needed = timedelta(seconds=300) + LATE_COMMIT
        for age in (needed, needed + timedelta(minutes=2)):
            Revocation.objects.create(session_id=uuid7(), created_at=clock.now - age)
        assert "revocations: 1 deleted" in run()
        assert Revocation.objects.get().created_at == clock.now - needed

    def test_keeps_the_revocation_of_a_purged_session_for_a_process_that_starts_later(self, clock, signed_in, settings):
        settings.TOKENS = {"SESSION_RETENTION": 1, "EVENT_RETENTION": 1}
        revoke_all(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(590)
        assert "sessions: 1 deleted" in run()
        feed.__init__(monotonic=feed._monotonic)
        assert feed.is_revoked(Revocation.objects.get().session_id)

    def test_of_a_device_is_that_of_its_last_session(self, rows, clock):
        unused, with_a_recent_one, with_a_live_one = rows.devices(3)
        for device in (unused, with_a_recent_one, with_a_live_one):
            rows.revoked(3, device=device)
        rows.revoked(1, clock.now - RETENTION / 2, device=with_a_recent_one)
        rows.sessions(1, device=with_a_live_one)
        assert "sessions: 9 deleted" in run()
        assert set(Device.objects.all()) == {rows.live.device, with_a_recent_one, with_a_live_one}


WOULD_BE_DELETED = """\
sessions: 5 would be deleted
    5 ended before 2029-12-02 12:00:00 UTC
events: 2 would be deleted
    events: 2 written before 2028-11-27 12:00:00 UTC
    sign_in_failed: 0 written before 2029-12-02 12:00:00 UTC
    registration: 0 written before 2029-12-02 12:00:00 UTC
    password_reset: 0 written before 2029-12-02 12:00:00 UTC
revocations: 1 would be deleted
    1 written before 2030-01-01 11:39:00 UTC
"""


class TestTheOutput:
    def test_for_empty_tables_is_zeros(self, db):
        assert run() == "sessions: 0 deleted\nevents: 0 deleted\nrevocations: 0 deleted\n"

    def test_of_a_dry_run_counts_what_would_be_deleted(self, rows, clock):
        [device] = rows.devices(1)
        rows.revoked(3, device=device)
        rows.revoked(2)
        rows.revoked(2, clock.now)
        SecurityEvent.objects.update(created_at=clock.now - EVENT_RETENTION * 2)
        Revocation.objects.create(session_id=uuid7(), created_at=clock.now - DAY)

        def counts() -> list[int]:
            events = SecurityEvent.objects.exclude(kind="purged")
            return [rows.count() for rows in (RefreshToken.objects, Device.objects, events, Revocation.objects)]

        before = counts()
        outputs: list[str] = []
        assert all(sql.startswith("SELECT") for sql in statements(lambda: outputs.append(run("--dry-run"))))
        assert (outputs, counts()) == ([WOULD_BE_DELETED], before)
        assert run() == "sessions: 5 deleted\nevents: 2 deleted\nrevocations: 1 deleted\n"
        assert counts() == [3, 3, 0, 0]
        assert re.findall("[0-9]+ would be", run("--dry-run")) == ["0 would be"] * 3

    def test_of_a_dry_run_counts_each_event_once(self, rows, clock):
        """The event is past the retention of attempts and past that of all events."""
        long_ago = clock.now - EVENT_RETENTION * 2
        SecurityEvent.objects.create(id=id_at(long_ago, 1), kind="sign_in_failed", created_at=long_ago)
        assert "events: 1 would be deleted" in run("--dry-run")
        assert "events: 1 deleted" in run()

    def test_includes_a_progress_bar_on_a_terminal_only(self, rows, monkeypatch, capsys):
        rows.revoked(3)
        run("--dry-run")
        run("--batch-size=1", "--dry-run")
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(reporting, "BAR_AFTER", 0)
        run("--batch-size=1")
        shown = capsys.readouterr().err
        assert "sessions: 100%" in shown
        assert "3/3" in shown

    def test_without_a_progress_bar_needs_no_counting(self, rows):
        assert not [sql for sql in statements(run) if "COUNT(" in sql.upper()]


def test_the_last_run_is_recorded_but_no_dry_run(rows, clock):
    rows.revoked(3)
    run("--dry-run")
    assert purge.last_run() is None
    for deleted in (3, 0):
        run()
        found = purge.last_run()
        assert found.deleted == {"sessions": deleted, "events": 0, "revocations": 0}
        assert found.ended_at == clock.now
        assert found.seconds >= 0
        clock.forward(86400)


class TestBatches:
    @pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1000])
    def test_of_any_size_delete_everything(self, size, rows, clock):
        [device] = rows.devices(1)
        rows.revoked(4, device=device)
        rows.revoked(3, clock.now - RETENTION * 3)
        SecurityEvent.objects.update(created_at=clock.now - EVENT_RETENTION * 2)
        assert run("--batch-size", str(size)) == "sessions: 7 deleted\nevents: 2 deleted\nrevocations: 0 deleted\n"
        assert rows.are_all_purged()

    @pytest.mark.parametrize("size", [1, 3, 7])
    def test_are_no_larger_than_asked_for_and_load_no_rows(self, size, rows, reads):
        rows.revoked(7)
        rows.sessions(50)
        reads.clear()
        batches = list(sessions_of(size))
        assert sum(batches) == 7
        assert max(batches) <= size
        assert not reads

    def test_take_as_many_statements_whatever_their_size(self, rows):
        def of_a_batch(count: int) -> int:
            rows.revoked(count)
            batches = sessions_of(count + 1)  # One more, because the live session is looked at first.
            deleted: list[int] = []
            queries = statements(lambda: deleted.append(next(batches)))
            batches.close()
            assert deleted == [count]
            return len(queries)

        assert of_a_batch(2) == of_a_batch(100) <= 8

    @pytest.mark.parametrize("size", ["0", "-1", "50001", "many", "1.5", ""])
    def test_of_an_invalid_size_are_rejected(self, size, rows):
        sessions = rows.revoked(1)
        with pytest.raises(CommandError, match="batch-size"):
            run(f"--batch-size={size}")
        assert exist(*sessions) == [True]

    def test_are_whole_after_an_interruption_and_the_next_run_continues(self, rows, monkeypatch):
        [device] = rows.devices(1)
        rows.revoked(6, device=device)
        delete, calls = purge._delete_rows, []

        def interrupted(found: list[Any]) -> int:
            calls.append(found)
            deleted = delete(found)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return deleted

        with monkeypatch.context() as patch:
            patch.setattr(purge, "_delete_rows", interrupted)
            with pytest.raises(CommandError, match="sessions: 3 deleted") as stopped:
                run("--batch-size=2")
        assert stopped.value.returncode == 130
        assert RefreshToken.objects.filter(device=device).count() == 3
        assert "sessions: 3 deleted" in run("--batch-size=2")
        assert not Device.objects.filter(pk=device.pk).exists()


def statements_of_a_purge(table: str, size: int) -> list[str]:
    """Return the statements that find where each batch ends, and those that delete it. Roll the purge back.

    `test_the_index_of_kinds_finds_them` has those for the kinds of events that are kept for a shorter time.
    """
    with transaction.atomic():
        queries = statements(lambda: [list(found.batches(size)) for found in purge.purges()])
        transaction.set_rollback(True)
    kinds = (f'SELECT "{table}"', f'DELETE FROM "{table}"')  # noqa: S608
    return [sql for sql in queries if sql.startswith(kinds) and "LIMIT" in sql and '"kind" = ' not in sql]


def rows_read(plan: list[dict[str, Any]]) -> float:
    """Return how many rows the scans of a plan read, including those that they discarded."""
    not_of_rows = {"Bitmap Index Scan", "Subquery Scan"}
    scans = [node for node in plan if "Scan" in node["Node Type"] and node["Node Type"] not in not_of_rows]
    assert scans
    counts = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"]
    return sum(sum(node.get(count, 0) for count in counts) * node["Actual Loops"] for node in scans)


@pytest.fixture
def large_tables(rows: Rows, clock: Any) -> None:
    """400 sessions and events to purge, and many that stay. Without them the database would not use its indexes."""
    now = clock.now
    [device] = rows.devices(1)
    rows.sessions(3000, device=device, opened_at=now)
    rows.revoked(300, now - RETENTION / 2, device=device, opened_at=now - RETENTION / 2)
    rows.revoked(400, device=device)
    for count, at in [(3000, now), (400, now - EVENT_RETENTION * 2)]:
        SecurityEvent.objects.bulk_create(
            SecurityEvent(kind="signed_in", created_at=at + number * INSTANT) for number in range(count)
        )
    query("ANALYZE")


@pytest.mark.only_on("postgresql")
def test_postgresql_reads_hardly_more_rows_than_it_deletes(large_tables):
    for table, index in [
        ("tokens_refreshtoken", "tokens_"),  # Of ids, or of modes and ids: PostgreSQL skips over the modes.
        ("tokens_securityevent", "tokens_securityevent_created_at"),
    ]:
        plans = [explained(sql) for sql in statements_of_a_purge(table, 40)]
        assert len(plans) == 2 * 11
        for plan in plans:
            used = [node["Index Name"] for node in plan if "Index Name" in node]
            assert len([name for name in used if name.startswith(index)]) == 1
            assert all(name.startswith(index) or name == f"{table}_pkey" for name in used)
            assert rows_read(plan) <= 2 * (40 + 2), "a batch is read twice where it is deleted or is the last but one"
        assert sum(rows_read(plan) for plan in plans) <= 3 * (400 + 22)


@pytest.mark.only_on("sqlite")
def test_sqlite_finds_the_sessions_by_their_id_and_the_events_by_their_time(large_tables):
    for table, index in [
        ("tokens_refreshtoken", "sqlite_autoindex_tokens_refreshtoken_1"),
        ("tokens_securityevent", "tokens_securityevent_created_at"),
    ]:
        for number, sql in enumerate(statements_of_a_purge(table, 40)):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plan = " · ".join(row[-1] for row in cursor.fetchall())
            assert plan.startswith(f"SEARCH {table} USING "), plan
            assert f"INDEX {index}" in plan, plan
            if table == "tokens_refreshtoken":
                assert "TEMP B-TREE" not in plan, "the rows are read in the order of the index, without sorting"
                assert number <= 1 or "(id>?" in plan


@pytest.mark.django_db(transaction=True)
class TestConcurrency:
    """`tests.tokens.service.test_concurrency` runs many purges, and purges during sign-ins, in processes."""

    def test_two_purges_at_the_same_time_leave_no_device(self, rows, monkeypatch):
        """Each deletes one of a device's last two sessions and has not committed: one must see that none is left."""
        [device] = rows.devices(1)
        rows.revoked(2, device=device)
        delete, both_deleted = purge.delete_returning, threading.Barrier(2)

        def slowly(found: Any, name: str) -> list[Any]:
            deleted = delete(found, name)
            if not both_deleted.broken:
                # The barrier breaks if the other purge waits for this one.
                with suppress(threading.BrokenBarrierError):
                    both_deleted.wait(timeout=0.5)
            return deleted

        monkeypatch.setattr(purge, "delete_returning", slowly)
        with in_thread(lambda: list(sessions_of(1))), in_thread(lambda: list(sessions_of(1))):
            pass
        assert rows.are_all_purged()

    @pytest.mark.only_on("postgresql")
    def test_a_purge_skips_a_session_that_is_locked(self, rows):
        held, *others = rows.revoked(3)
        with transaction.atomic():
            RefreshToken.objects.select_for_update().get(pk=held.pk)
            with in_thread(lambda: list(sessions_of(2))):
                pass
        assert exist(held, *others) == [True, False, False]
        assert list(sessions_of(2)) == [1]

    @pytest.mark.only_on("postgresql")
    def test_a_sign_in_that_has_not_committed_keeps_the_device_for_which_a_purge_waits(self, rows):
        """The purge saw no session of the device before it waited. Its commit fails, and its next attempt sees one."""
        [device] = rows.devices(1)
        [ended] = rows.revoked(1, device=device)
        with ExitStack() as other, transaction.atomic():
            Device.objects.select_for_update().get(pk=device.pk)
            opened = rows.sessions(1, device=device)
            purged: list[int] = []
            other.enter_context(in_thread(lambda: purged.extend(sessions_of(10))))
            wait_until_blocked()
        assert purged == [1]
        assert exist(ended, *opened) == [False, True]
        assert Device.objects.filter(pk=device.pk).exists()


# Attempts: what anybody can cause without a session is kept for a shorter time than other security events.

ATTEMPTS = ["sign_in_failed", "registration", "password_reset"]


def events(kind: str, at: datetime, count: int = 1) -> None:
    """Write events with ids of that time (UUIDv7), as a server makes them."""
    SecurityEvent.objects.bulk_create(
        SecurityEvent(id=id_at(at, uuid4().int % 2**62), kind=kind, created_at=at) for _ in range(count)
    )


def left() -> dict[str, int]:
    kinds = SecurityEvent.objects.exclude(kind="purged").values_list("kind", flat=True)
    return {kind: list(kinds).count(kind) for kind in kinds}


def test_only_attempts_are_deleted_after_thirty_days(clock):
    kinds = set(SecurityEvent.Kind.values) - {"purged"}
    for kind in kinds:
        events(kind, clock.now - RETENTION - timedelta(seconds=1))
        events(kind, clock.now - RETENTION + timedelta(seconds=1))
    run()
    assert left() == {kind: 1 if kind in ATTEMPTS else 2 for kind in kinds}


def test_they_count_as_events(clock):
    for kind in ATTEMPTS:
        events(kind, clock.now - 2 * RETENTION, 2)
    events("signed_in", clock.now - timedelta(days=401))
    assert "events: 7 would be deleted" in run("--dry-run")
    assert "events: 7 deleted" in run("--batch-size=1")
    assert left() == {}


def test_the_setting_says_how_long(settings, clock):
    settings.TOKENS = {"ATTEMPT_RETENTION": 86400}
    events("password_reset", clock.now - timedelta(days=2))
    events("password_reset", clock.now - timedelta(hours=2))
    run()
    assert left() == {"password_reset": 1}


def test_clocks_of_servers_may_differ(clock):
    """The id has the time of a server that is half a day ahead, and ``created_at`` that of the database."""
    events("registration", clock.now - RETENTION + timedelta(hours=12))
    SecurityEvent.objects.filter(kind="registration").update(created_at=clock.now - RETENTION - timedelta(seconds=1))
    run()
    assert left() == {}


def test_the_index_of_kinds_finds_them(clock):
    """Without the index, each purge would read all events of more than a year."""
    events("signed_in", clock.now - 2 * RETENTION, 3000)
    events("password_reset", clock.now - 2 * RETENTION, 100)
    query("ANALYZE")
    table = SecurityEvent._meta.db_table
    sent = statements(lambda: run("--batch-size=10"))
    found = [sql for sql in sent if sql.startswith("DELETE") and table in sql and "'password_reset'" in sql]
    assert len(found) == 11
    for sql in found:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        assert "tokens_event_kind" in plan, plan
        assert f"Seq Scan on {table}" not in plan
