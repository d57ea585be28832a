"""Which commits wait, and which do not. A sign-in, a recovery and the end of a session must survive whatever follows.

On PostgreSQL the server waits for a synchronous standby that is not there: whatever waits for its commit hangs, and
what does not goes through. On SQLite the same is seen in ``PRAGMA synchronous``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.databases import start_server
from tests.tokens.service.holders import GRACE, STILL_TIME, Holder
from tests.tokens.service.processes import Process, values_of
from tokens.database import durable

BOUND = 60.0
"""Seconds after which something that should have happened will not."""

Session = dict[str, Any]
Waiting = Callable[..., tuple[bool, Any]]


class Standby:
    """The standby that the test's own server has, or waits for in vain."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def go(self) -> None:
        """From now on commits wait for it."""
        self._set("SET synchronous_standby_names = 'nobody'", "nobody")

    def come_back(self) -> None:
        """Commits no longer wait, and those that did are through."""
        self._set("RESET synchronous_standby_names", "")

    def close(self) -> None:
        self._connection.close()

    def waiting(self) -> int:
        """How many commits wait."""
        return int(
            self._ask(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
            )
        )

    def _set(self, change: str, expected: str) -> None:
        self._connection.execute(f"ALTER SYSTEM {change}")
        self._connection.execute("SELECT pg_reload_conf()")
        eventually(lambda: self._ask("SHOW synchronous_standby_names") == expected)

    def _ask(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return row[0]


def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until it is so, and fail where it never is."""
    until = time.monotonic() + BOUND
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own: on the others' all other tests would wait too."""
    url, server = start_server()
    yield url
    server.cleanup()


@pytest.fixture(scope="module")
def process(url: str) -> Iterator[Process]:
    """The process whose commits are looked at; it has made the tables."""
    process = Process(url)
    process.run("migrate")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def probe(url: str) -> Iterator[Process]:
    """A process that shows whether commits wait."""
    probe = Process(url)
    yield probe
    probe.stop()


@pytest.fixture(scope="module")
def standby(url: str, process: Process) -> Iterator[Standby]:
    """Hold back commits by this, and in every case let them go again."""
    standby = Standby(url)
    yield standby
    standby.close()


@pytest.fixture
def user_id(process: Process) -> str:
    found: str = process.run("open_account", f"user{time.monotonic_ns()}@example.org")
    return found


@pytest.fixture
def session(process: Process, user_id: str) -> Session:
    """A session that may be rotated, and has been before: so nothing is superseded by it."""
    session: Session = process.run("sign_in", user_id)
    session["lost"] = session["token"]
    session["token"] = process.run("refresh", session["token"])["successor"]
    process.run("put_back", session["session"], 1, 3600)
    return session


@contextmanager
def without(standby: Standby, probe: Process, user_id: str) -> Iterator[None]:
    """Let every commit that waits hang, and make sure that they do."""
    standby.go()
    try:
        # A process of the server takes a moment to hear of it: until then sign-ins go through.
        for _ in range(100):
            probe.prepare("sign_in", [[user_id]])
            probe.start()
            if _hangs(probe, standby):
                break
        else:
            pytest.fail("commits never waited for the standby")
        yield
    finally:
        standby.come_back()
        values_of(probe.finish())


@pytest.fixture
def waiting(standby: Standby, process: Process, probe: Process, user_id: str) -> Waiting:
    """Does a job while a probe waits for its commit; says whether the job waits too, and what came of it in the end."""

    def do(job: str, *arguments: Any, **tokens: Any) -> tuple[bool, Any]:
        with without(standby, probe, user_id):
            process.prepare(job, [arguments], **tokens)
            process.start()
            eventually(lambda: process.has_finished() or standby.waiting() == 2)
            waited = not process.has_finished()
        (result,) = values_of(process.finish())
        return waited, result

    return do


def _hangs(probe: Process, standby: Standby) -> bool:
    while not standby.waiting():
        if probe.has_finished():
            values_of(probe.finish())
            return False
    return True


class TestOnPostgreSQL:
    @pytest.mark.parametrize("generation", [1, 2])
    def test_a_rotation_does_not_wait(self, process, session, waiting, generation):
        """Neither to the next generation, nor to one that the database has forgotten."""
        process.run("put_back", session["session"], generation - 1, 3600)
        waited, answer = waiting("refresh", session["token"])
        assert not waited
        assert answer["generation"] == generation

    def test_an_acknowledgement_does_not_wait(self, session, waiting):
        waited, written = waiting("acknowledge", session["session"], 1)
        assert not waited
        assert written

    def test_a_sign_in_waits(self, process, user_id, waiting):
        waited, opened = waiting("sign_in", user_id)
        assert waited
        assert process.run("refresh", opened["token"])["granted"]

    def test_a_recovery_waits(self, session, waiting):
        waited, answer = waiting("refresh", session["lost"])
        assert waited
        assert answer == {"granted": True, "successor": session["token"], "generation": 1}

    def test_a_revocation_waits(self, session, waiting):
        waited, ended = waiting("end", session["session"])
        assert waited
        assert ended == 1

    def test_reuse_is_not_refused_before_the_end_of_the_session_is_safe(self, process, session, waiting):
        process.run("put_back", session["session"], 2, 0)
        waited, answer = waiting("refresh", session["lost"])
        assert waited
        assert answer == {"granted": False}

    def test_a_strict_rotation_waits(self, session, waiting):
        waited, answer = waiting("refresh", session["token"], REUSE_GRACE=0)
        assert waited
        assert answer["generation"] == 2


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(transaction=True)
class TestOnSQLite:
    NORMAL, FULL = 1, 2

    @pytest.fixture
    def written(self) -> Iterator[list[tuple[str, int]]]:
        """Notes of each statement that writes what ``PRAGMA synchronous`` was."""
        found: list[tuple[str, int]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            verb, *words = sql.split()
            if verb in {"INSERT", "UPDATE", "DELETE"}:
                found.append((f"{verb} {words[1] if verb == 'INSERT' else words[0]}", self._synchronous()))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            yield found

    @staticmethod
    def _synchronous() -> int:
        connection.ensure_connection()
        level: int = connection.connection.execute("PRAGMA synchronous").fetchone()[0]
        return level

    def test_a_commit_that_must_last_waits_for_the_disk_and_the_next_one_does_not(self):
        assert self._synchronous() == self.NORMAL
        with durable("default"):
            assert self._synchronous() == self.FULL
        assert self._synchronous() == self.NORMAL

    def test_nor_does_the_next_one_after_a_failure(self):
        with pytest.raises(ZeroDivisionError), durable("default"):
            raise ZeroDivisionError
        assert self._synchronous() == self.NORMAL

    def test_one_inside_a_transaction_is_that_transactions(self):
        with durable("default"), durable("default"):
            assert self._synchronous() == self.FULL
        assert self._synchronous() == self.NORMAL

    def test_a_rotation_does_not_wait(self, user, clock, written):
        holder = Holder(user)
        written.clear()
        holder.refresh()
        assert written == [('UPDATE "tokens_refreshtoken"', self.NORMAL)]

    def test_a_sign_in_waits(self, user, written):
        Holder(user)
        assert ('INSERT "tokens_refreshtoken"', self.FULL) in written
        assert {level for _, level in written} == {self.FULL}

    def test_a_recovery_waits(self, user, clock, written):
        holder = Holder(user)
        holder.present()
        clock.forward(GRACE)
        written.clear()
        holder.refresh()
        assert ('UPDATE "tokens_refreshtoken"', self.FULL) in written
        assert {level for _, level in written} == {self.FULL}

    def test_the_end_of_a_session_waits(self, user, clock, written):
        holder = Holder(user)
        for _ in range(2):
            holder.refresh()
            clock.forward(STILL_TIME)
        written.clear()
        assert holder.is_refused(holder.first)
        assert ('INSERT "tokens_revocation"', self.FULL) in written
        assert {level for _, level in written} == {self.FULL}
