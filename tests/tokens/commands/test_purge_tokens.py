"""``purge_tokens``: what is past its retention goes, to the second; all else stays, at any volume."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db.models.signals import post_init
from django.test import Client
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from tests.browsers import login
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent
from tokens.service import purge
from tokens.service.ending import end_all
from tokens.service.feed import LATE_COMMIT, feed

pytestmark = pytest.mark.django_db

RETENTION = timedelta(days=30)
EVENT_RETENTION = timedelta(days=400)
INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


def id_at(opened_at: datetime, number: int) -> UUID:
    """The UUIDv7 of this millisecond with this number."""
    return UUID(int=(int(opened_at.timestamp() * 1000) << 80) + (7 << 76) + (2 << 62) + number)


class Rows:
    """Makes rows after the model of a session that somebody really opened, which is live and must stay."""

    def __init__(self, live: RefreshToken) -> None:
        self.live = live
        self._values = {field.attname: getattr(live, field.attname) for field in live._meta.concrete_fields}

    def devices(self, count: int) -> list[Device]:
        user_id, now = self.live.user_id, self.live.created_at
        return Device.objects.bulk_create(
            Device(user_id=user_id, token_digest=uuid7().bytes * 2, name="old", created_at=now) for _ in range(count)
        )

    def sessions(
        self, count: int, *, device: Device | None = None, opened_at: datetime | None = None, **values: Any
    ) -> list[RefreshToken]:
        """``opened_at``: what their ids say; by default long before the test's clock. ``values``: of the rows."""
        devices = [device] * count if device else self.devices(count)
        ids = [uuid7() if opened_at is None else id_at(opened_at, number) for number in range(count)]
        sessions = [
            RefreshToken(**{**self._values, "id": id, "device_id": at.pk, **values})
            for id, at in zip(ids, devices, strict=True)
        ]
        return RefreshToken.objects.bulk_create(sessions)

    def revoked(self, count: int, at: datetime, **values: Any) -> list[RefreshToken]:
        return self.sessions(count, revoked_at=at, revoked_reason="signed_out", **values)


@pytest.fixture
def rows(user: Any, clock: Any) -> Rows:
    """Somebody is signed in, with a remembered session: whatever is purged, it is not theirs."""
    login(Client(), user, remember=True)
    return Rows(RefreshToken.objects.get())


@pytest.fixture
def reads() -> Iterator[Counter[str]]:
    """How many rows of each model were read into memory: each becomes an object."""
    counts: Counter[str] = Counter()

    def count(sender: Any, **signal: Any) -> None:
        counts[sender.__name__] += 1

    post_init.connect(count)
    yield counts
    post_init.disconnect(count)


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("purge_tokens", *arguments, stdout=out, **options)
    return out.getvalue()


def sessions_of(size: int) -> Iterator[int]:
    """Purge sessions, a batch at each step."""
    return purge.purges()[0].batches(size)


def there(sessions: list[RefreshToken]) -> list[bool]:
    found = set(RefreshToken.objects.values_list("pk", flat=True))
    return [session.pk in found for session in sessions]


# What goes, and what stays


@pytest.mark.parametrize("into_the_day", [0, 1, 43_200, 86_399], ids=["midnight", "morning", "noon", "evening"])
@pytest.mark.parametrize("how", ["revoked", "unused", "over", "revoked long before it would have ended"])
def test_an_ended_session_goes_when_its_retention_is_over_to_the_second(how, into_the_day, rows, clock):
    clock.forward(43_200 + into_the_day)
    just_now = clock.now - RETENTION
    for ended, goes in [(just_now, False), (just_now + SECOND, False), (just_now - INSTANT, True)]:
        later = ended + timedelta(days=5)
        values = {
            "revoked": {"revoked_at": ended},
            "unused": {"idle_expires_at": ended, "expires_at": later},
            "over": {"idle_expires_at": later, "expires_at": ended},
            "revoked long before it would have ended": {"revoked_at": ended, "idle_expires_at": later},
        }[how]
        sessions = rows.sessions(1, **values)
        run()
        assert there(sessions) == [not goes], ended


def test_a_retention_of_one_second_is_one_second(rows, clock, settings):
    settings.TOKENS = {"SESSION_RETENTION": 1}
    sessions = rows.revoked(1, clock.now)
    clock.forward(1)
    assert "sessions: 0 deleted" in run()
    clock.forward(0.001)
    assert "sessions: 1 deleted" in run()
    assert there([*sessions, rows.live]) == [False, True]


def test_a_live_session_stays_however_old(rows, clock):
    long_ago = clock.now - timedelta(days=1000)
    old = rows.sessions(1, created_at=long_ago, since=long_ago, authenticated_at=long_ago)
    run()
    assert there([*old, rows.live]) == [True, True]


def test_a_session_that_nobody_can_have_ended_so_long_ago_is_not_looked_at(rows, clock):
    """Its id tells when it was opened, by a clock that may be a little wrong."""
    long_ago = clock.now - RETENTION * 2
    bound = clock.now - RETENTION + timedelta(days=1)
    just_before, just_after = (rows.revoked(1, long_ago, opened_at=at)[0] for at in (bound - SECOND, bound + SECOND))
    run()
    assert there([just_before, just_after]) == [False, True]


@pytest.mark.parametrize(
    ("age", "stays"), [(EVENT_RETENTION, True), (EVENT_RETENTION + INSTANT, False), (RETENTION * 2, True)]
)
def test_events_have_a_retention_of_their_own_to_the_second(age, stays, rows, clock):
    SecurityEvent.objects.update(created_at=clock.now - age)
    count = SecurityEvent.objects.count()
    assert count == 2
    assert f"events: {0 if stays else 2} deleted" in run()
    assert SecurityEvent.objects.exclude(kind="purged").count() == (count if stays else 0)


def test_an_event_outlives_the_session_and_the_device_that_it_speaks_of(rows, clock):
    [session] = rows.revoked(1, clock.now - RETENTION * 2)
    SecurityEvent.objects.create(
        kind="revoked", created_at=clock.now - RETENTION * 2, session_id=session.pk, device_id=session.device_id
    )
    run()
    event = SecurityEvent.objects.get(kind="revoked")
    assert (event.session_id, event.device_id) == (session.pk, session.device_id)
    assert there([session]) == [False]


def test_a_revocation_goes_when_no_access_token_can_need_it(rows, clock, settings):
    settings.TOKENS = {"ACCESS_LIFETIME": 300}
    needed = timedelta(seconds=300) + LATE_COMMIT
    for age in (needed, needed + timedelta(hours=1)):
        Revocation.objects.create(session_id=uuid7(), created_at=clock.now - age)
    assert "revocations: 1 deleted" in run()
    assert Revocation.objects.get().created_at == clock.now - needed


def test_a_session_revoked_just_now_stays_revoked_for_a_process_that_starts_after_the_purge(user, api, clock, settings):
    settings.TOKENS = {"SESSION_RETENTION": 1, "EVENT_RETENTION": 1}
    login(api, user)
    end_all(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
    clock.forward(590)
    assert "sessions: 1 deleted" in run()
    feed.__init__(monotonic=feed._monotonic)  # type: ignore[misc]
    assert feed.is_revoked(Revocation.objects.get().session_id)


def test_a_device_goes_with_its_last_session(rows, clock):
    old, recent = clock.now - RETENTION * 2, clock.now - RETENTION / 2
    gone, kept_by_a_recent_one, kept_by_a_live_one = rows.devices(3)
    rows.revoked(3, old, device=gone)
    rows.revoked(3, old, device=kept_by_a_recent_one)
    rows.revoked(1, recent, device=kept_by_a_recent_one)
    rows.revoked(3, old, device=kept_by_a_live_one)
    rows.sessions(1, device=kept_by_a_live_one)
    assert "sessions: 9 deleted" in run()
    left = {rows.live.device, kept_by_a_recent_one, kept_by_a_live_one}
    assert set(Device.objects.all()) == left


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_device_goes_though_its_sessions_go_in_several_batches(size, rows, clock):
    [device] = rows.devices(1)
    rows.revoked(4, clock.now - RETENTION * 2, device=device)
    list(sessions_of(size))
    assert list(Device.objects.all()) == [rows.live.device]


def test_the_tables_of_a_new_server_are_no_trouble(db):
    assert run() == "sessions: 0 deleted\nevents: 0 deleted\nrevocations: 0 deleted\n"


# Counting


def test_a_dry_run_counts_what_would_go_and_deletes_nothing(rows, clock):
    [device] = rows.devices(1)
    rows.revoked(3, clock.now - RETENTION * 2, device=device)
    rows.revoked(2, clock.now - RETENTION * 2)
    rows.revoked(2, clock.now)
    SecurityEvent.objects.update(created_at=clock.now - EVENT_RETENTION * 2)
    Revocation.objects.create(session_id=uuid7(), created_at=clock.now - timedelta(days=1))

    def counts() -> list[int]:
        events = SecurityEvent.objects.exclude(kind="purged")
        return [rows.count() for rows in (RefreshToken.objects, Device.objects, events, Revocation.objects)]

    before = counts()
    with CaptureQueriesContext(connection) as captured:
        said = run("--dry-run")
    assert said == "sessions: 5 would be deleted\nevents: 2 would be deleted\nrevocations: 1 would be deleted\n"
    assert not [query for query in captured if not query["sql"].lstrip().upper().startswith("SELECT")]
    assert counts() == before
    assert run() == said.replace("would be deleted", "deleted")
    assert counts() == [3, 3, 0, 0]
    assert run("--dry-run") == said.translate(str.maketrans("521", "000"))


def test_a_run_is_an_event_that_says_what_was_deleted_and_a_dry_run_is_none(rows, clock):
    rows.revoked(3, clock.now - RETENTION * 2)
    run("--dry-run")
    assert purge.last_run() is None
    run()
    found = purge.last_run()
    assert found is not None
    assert found.deleted == {"sessions": 3, "events": 0, "revocations": 0}
    assert found.ended_at == clock.now
    assert found.seconds >= 0


def test_of_several_runs_the_last_counts(rows, clock):
    rows.revoked(3, clock.now - RETENTION * 2)
    run()
    clock.forward(86400)
    run()
    found = purge.last_run()
    assert found is not None
    assert (found.deleted["sessions"], found.ended_at) == (0, clock.now)


# In batches


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1000])
def test_batches_of_any_size_delete_everything(size, rows, clock):
    rows.revoked(4, clock.now - RETENTION * 2)
    rows.revoked(3, clock.now - RETENTION * 3)
    SecurityEvent.objects.update(created_at=clock.now - EVENT_RETENTION * 2)
    said = run("--batch-size", str(size))
    assert said == "sessions: 7 deleted\nevents: 2 deleted\nrevocations: 0 deleted\n"
    assert list(RefreshToken.objects.all()) == [rows.live]
    assert list(Device.objects.all()) == [rows.live.device]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_no_more_than_a_batch_is_deleted_at_a_time_and_no_row_is_read_into_memory(size, rows, clock, reads):
    rows.revoked(7, clock.now - RETENTION * 2)
    rows.sessions(50)
    reads.clear()
    batches = list(sessions_of(size))
    assert sum(batches) == 7
    assert max(batches) <= size
    assert not reads


def test_a_batch_takes_as_many_statements_whatever_its_size(rows, clock):
    def statements(count: int) -> int:
        rows.revoked(count, clock.now - RETENTION * 2)
        batches = sessions_of(count + 1)  # The one that is live is looked at first.
        with CaptureQueriesContext(connection) as captured:
            assert next(batches) == count
        batches.close()
        return len(captured)

    few = statements(2)
    assert statements(100) == few <= 8


@pytest.mark.parametrize("size", ["0", "-1", "50001", "many", "1.5", ""])
def test_a_batch_size_that_cannot_be_meant_is_refused(size, rows, clock):
    sessions = rows.revoked(1, clock.now - RETENTION * 2)
    with pytest.raises(CommandError, match="batch-size"):
        run(f"--batch-size={size}")
    assert there(sessions) == [True]


def test_an_interrupted_run_leaves_whole_batches_and_the_next_one_goes_on(rows, clock, monkeypatch):
    [device] = rows.devices(1)
    rows.revoked(6, clock.now - RETENTION * 2, device=device)
    delete, calls = purge._delete_rows, []

    def interrupted(found: list[Any]) -> int:
        calls.append(found)
        if len(calls) == 3:
            delete(found)
            raise KeyboardInterrupt
        return delete(found)

    with monkeypatch.context() as patch:
        patch.setattr(purge, "_delete_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("--batch-size=2")
    assert RefreshToken.objects.filter(device=device).count() == 3
    assert "sessions: 3 deleted" in run("--batch-size=2")
    assert not Device.objects.filter(pk=device.pk).exists()


def test_a_bar_is_shown_to_a_person_alone(rows, clock, monkeypatch, capsys):
    rows.revoked(3, clock.now - RETENTION * 2)
    run("--dry-run")
    run("--batch-size=1", "--dry-run")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run("--batch-size=1")
    shown = capsys.readouterr().err
    assert "sessions: 100%" in shown
    assert "3/3" in shown


def test_a_run_that_nobody_watches_counts_nothing_before(rows, clock):
    with CaptureQueriesContext(connection) as captured:
        run()
    assert not [query for query in captured if "COUNT(" in query["sql"].upper()]


# What the database reads


def statements(table: str, size: int) -> list[str]:
    """The statements of a purge, then undone, that find where each batch ends, and those that delete it."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        for found in purge.purges():
            list(found.batches(size))
        transaction.set_rollback(True)
    kinds = (f'SELECT "{table}"', f'DELETE FROM "{table}"')  # noqa: S608
    return [query["sql"] for query in captured if query["sql"].startswith(kinds) and "LIMIT" in query["sql"]]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def explained(sql: str) -> list[dict[str, Any]]:
    """PostgreSQL's plan of a statement, carried out."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return list(nodes(plan))


def rows_read(plan: list[dict[str, Any]]) -> float:
    """How many rows its scans touched, those among them that were thrown away."""
    not_of_rows = {"Bitmap Index Scan", "Subquery Scan"}
    scans = [node for node in plan if "Scan" in node["Node Type"] and node["Node Type"] not in not_of_rows]
    assert scans
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0))
        * node["Actual Loops"]
        for node in scans
    )


@pytest.fixture
def large_tables(rows: Rows, clock: Any) -> None:
    """Many sessions and events that stay, and 400 of each that go."""
    now, long_ago = clock.now, clock.now - EVENT_RETENTION * 2
    [device] = rows.devices(1)
    rows.sessions(3000, device=device, opened_at=now)
    rows.revoked(300, now - RETENTION / 2, device=device, opened_at=now - RETENTION / 2)
    rows.revoked(400, now - RETENTION * 2, device=device)
    for count, at in [(3000, now), (400, long_ago)]:
        SecurityEvent.objects.bulk_create(
            SecurityEvent(kind="signed_in", created_at=at + number * INSTANT) for number in range(count)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.only_on("postgresql")
def test_postgresql_reads_no_more_than_can_be_deleted(large_tables):
    for table, index in [
        ("tokens_refreshtoken", "tokens_"),  # Of ids, or of modes and ids, over which PostgreSQL skips.
        ("tokens_securityevent", "tokens_securityevent_created_at"),
    ]:
        plans = [explained(sql) for sql in statements(table, 40)]
        assert len(plans) == 2 * 11
        for plan in plans:
            used = [node["Index Name"] for node in plan if "Index Name" in node]
            assert len([name for name in used if name.startswith(index)]) == 1
            assert all(name.startswith(index) or name == f"{table}_pkey" for name in used)
            assert rows_read(plan) <= 2 * (40 + 2), "a batch twice, where it is deleted or is the last but one"
        assert sum(rows_read(plan) for plan in plans) <= 3 * (400 + 22)


@pytest.mark.only_on("sqlite")
def test_sqlite_finds_the_sessions_by_their_id(large_tables):
    for table, index in [
        ("tokens_refreshtoken", "sqlite_autoindex_tokens_refreshtoken_1"),
        ("tokens_securityevent", "tokens_securityevent_created_at"),
    ]:
        for number, sql in enumerate(statements(table, 40)):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plan = " · ".join(row[-1] for row in cursor.fetchall())
            assert plan.startswith(f"SEARCH {table} USING "), plan
            assert f"INDEX {index}" in plan, plan
            if table == "tokens_refreshtoken":
                assert "TEMP B-TREE" not in plan, "sorted as it is found, not read whole and sorted"
                behind = "(id>?" if number > 1 else ""
                assert behind in plan


# Beside others


def in_threads(*jobs: Any) -> None:
    """Run each in a thread and on a connection of its own; raise what one of them raised."""
    failures: list[BaseException] = []

    def work(job: Any) -> None:
        try:
            job()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


@pytest.mark.django_db(transaction=True)
def test_two_purges_side_by_side_leave_no_device_behind(rows, clock, monkeypatch):
    """Each deletes one of the last two sessions of a device, neither committed: who sees that none is left?"""
    [device] = rows.devices(1)
    rows.revoked(2, clock.now - RETENTION * 2, device=device)
    delete, both_deleted = purge.delete_returning, threading.Barrier(2)

    def slowly(found: Any, name: str) -> list[Any]:
        deleted = delete(found, name)
        if not both_deleted.broken:
            with suppress(threading.BrokenBarrierError):  # Then the other one waits for us.
                both_deleted.wait(timeout=0.5)
        return deleted

    monkeypatch.setattr(purge, "delete_returning", slowly)
    in_threads(lambda: list(sessions_of(1)), lambda: list(sessions_of(1)))
    assert list(RefreshToken.objects.all()) == [rows.live]
    assert list(Device.objects.all()) == [rows.live.device]


@pytest.mark.django_db(transaction=True)
def test_many_purges_side_by_side_delete_each_row_once(rows, clock):
    rows.revoked(40, clock.now - RETENTION * 2)
    deleted: list[int] = []
    in_threads(*[lambda: deleted.extend(sessions_of(3))] * 4)
    list(sessions_of(100))
    assert sum(deleted) == 40
    assert list(RefreshToken.objects.all()) == [rows.live]
    assert list(Device.objects.all()) == [rows.live.device]


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_purge_waits_for_nobody_who_holds_a_session(rows, clock):
    held, *others = rows.revoked(3, clock.now - RETENTION * 2)
    with transaction.atomic():
        RefreshToken.objects.select_for_update().get(pk=held.pk)
        in_threads(lambda: list(sessions_of(2)))
    assert there([held, *others]) == [True, False, False]
    assert list(sessions_of(2)) == [1]


@pytest.mark.django_db(transaction=True)
def test_somebody_who_signs_in_meanwhile_keeps_their_device(user, api, rows, clock, monkeypatch):
    """The last session of a device is purged while its owner signs in again: both go through."""
    login(api, user, remember=True)
    own = RefreshToken.objects.exclude(pk=rows.live.pk).get()
    long_ago = clock.now - RETENTION * 2
    RefreshToken.objects.filter(pk=own.pk).update(revoked_at=long_ago)
    in_threads(lambda: list(sessions_of(10)), lambda: login(api, user))
    assert api.get("/api/auth/me").status_code == 200
    run()
    session = RefreshToken.objects.exclude(pk=rows.live.pk).get()
    assert session.device in Device.objects.all()


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_sign_in_that_is_under_way_keeps_the_device_that_the_purge_waits_for(rows, clock):
    """The purge saw no session of the device when it began to wait: its commit fails, and it sees the next time."""
    [device] = rows.devices(1)
    [ended] = rows.revoked(1, clock.now - RETENTION * 2, device=device)
    is_locked = threading.Event()

    def sign_in() -> None:
        with transaction.atomic():
            Device.objects.select_for_update().get(pk=device.pk)
            [session] = rows.sessions(1, device=device)
            opened.append(session)
            is_locked.set()
            with connection.cursor() as cursor:
                while not cursor.execute(
                    "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
                ).rowcount:
                    time.sleep(0.01)

    def purge_meanwhile() -> None:
        assert is_locked.wait(timeout=30)
        assert list(sessions_of(10)) == [1]

    opened: list[RefreshToken] = []
    in_threads(sign_in, purge_meanwhile)
    assert there([ended, *opened]) == [False, True]
    assert Device.objects.filter(pk=device.pk).exists()
