"""Which commits wait for the disk. A sign-in, a recovery and a revocation must survive a crash, a rotation need not.

On PostgreSQL the server is told to wait for a synchronous standby that does not exist. A commit that waits then hangs,
and one that does not wait succeeds. On SQLite the value of ``PRAGMA synchronous`` is read at each write.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.databases import start_server
from tests.tokens.service.holders import GRACE, Holder
from tests.tokens.service.processes import Process, values_of
from tests.tokens.service.statements import query
from tests.tokens.service.threads import eventually

Session = dict[str, Any]
Waiting = Callable[..., tuple[bool, Any]]


class Server:
    """A PostgreSQL server for these tests only. On the shared server, all other tests would hang with them.

    ``process``: the process whose commits are tested. In the test's own process, a commit that hangs would hang the
    test. ``probe``: a process that signs in, to see whether commits hang already.
    """

    def __init__(self) -> None:
        url, self._server = start_server()
        self._connection = psycopg.connect(url, autocommit=True)
        self.process, self.probe = Process(url), Process(url)
        self.process.run("migrate")

    def stop(self) -> None:
        self.process.stop()
        self.probe.stop()
        self._connection.close()
        self._server.cleanup()

    def wait_for_standby(self, name: str) -> None:
        """Let commits wait for a standby of this name. If the name is empty, those that wait succeed."""
        self._connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        self._connection.execute("SELECT pg_reload_conf()")
        eventually(lambda: self._ask("SHOW synchronous_standby_names") == name)

    def waiting(self) -> int:
        """Return how many commits wait."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
        return int(self._ask(query))

    def probe_hangs(self, user_id: str) -> bool:
        self.probe.prepare("sign_in", [[user_id]])
        self.probe.start()
        eventually(lambda: self.waiting() > 0 or self.probe.has_finished())
        if self.probe.has_finished():
            values_of(self.probe.finish())
            return False
        return True

    def _ask(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server of these tests. Without its missing standby, every commit would succeed, and no test could fail."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def process(server: Server) -> Process:
    """The process whose commits are tested. See `Server`."""
    return server.process


@pytest.fixture
def user_id(process: Process) -> str:
    """A user for each test. The many sign-ins of the probe in earlier tests could otherwise end the test's session."""
    found: str = process.run("open_account", f"user{time.monotonic_ns()}@example.org")
    return found


@pytest.fixture
def session(process: Process, user_id: str) -> Session:
    """A session that may be rotated a second time. The first rotation has a second transaction, which ends others."""
    session: Session = process.run("sign_in", user_id)
    session["lost"] = session["token"]
    session["token"] = process.run("refresh", session["token"])["successor"]
    process.run("put_back", session["session"], 1, 3600)
    return session


@pytest.fixture
def waiting(server: Server, process: Process, user_id: str) -> Waiting:
    """Return a function that runs a job while commits hang. It returns whether the job hung, and the job's result.

    Without the check by the probe that commits do hang, a test that expects a job not to wait would always pass.
    """

    def run(job: str, *arguments: Any, **tokens: Any) -> tuple[bool, Any]:
        server.wait_for_standby("nobody")
        try:
            # Each process of PostgreSQL reads the new setting a moment later. Until then, commits succeed.
            assert any(server.probe_hangs(user_id) for _ in range(100)), "commits never waited for the standby"
            process.prepare(job, [arguments], **tokens)
            process.start()
            eventually(lambda: process.has_finished() or server.waiting() == 2)
            waited = not process.has_finished()
        finally:
            server.wait_for_standby("")
            values_of(server.probe.finish())
        (result,) = values_of(process.finish())
        return waited, result

    return run


JOBS: dict[str, tuple[tuple[int, int], str, tuple[Any, ...], bool, Any]] = {
    # the row's generation and its age in seconds, the job and its arguments, whether it waits, and what it returns
    "a rotation": ((1, 3600), "refresh", ("token",), False, {"generation": 2}),
    "a rotation that the database had lost": ((0, 3600), "refresh", ("token",), False, {"generation": 1}),
    "an acknowledgement": ((1, 3600), "acknowledge", ("session", 1), False, True),
    "a recovery": ((1, 3600), "refresh", ("lost",), True, {"granted": True, "successor": "token", "generation": 1}),
    "a revocation": ((1, 3600), "end", ("session",), True, 1),
    "reuse, which ends the session before it is answered": ((2, 0), "refresh", ("lost",), True, {"granted": False}),
}


@pytest.mark.long
class TestOnPostgreSQL:
    @pytest.mark.parametrize(("row", "job", "arguments", "waits", "expected"), JOBS.values(), ids=JOBS)
    def test_this_commit_waits_or_does_not_wait(self, process, session, waiting, row, job, arguments, waits, expected):
        process.run("put_back", session["session"], *row)
        waited, result = waiting(job, *(session.get(argument, argument) for argument in arguments))
        if isinstance(expected, dict):
            result = {name: result[name] for name in expected}
            expected = {name: session.get(value, value) for name, value in expected.items()}
        assert (waited, result) == (waits, expected)

    def test_a_sign_in_waits(self, process, waiting):
        # Of another user than the probe's, whose row is locked.
        user_id = process.run("open_account", f"another{time.monotonic_ns()}@example.org")
        waited, opened = waiting("sign_in", user_id)
        assert waited
        assert process.run("refresh", opened["token"])["granted"]

    def test_a_strict_rotation_waits(self, session, waiting):
        waited, answer = waiting("refresh", session["token"], REUSE_GRACE=0)
        assert (waited, answer["generation"]) == (True, 2)


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(transaction=True)
class TestOnSQLite:
    NORMAL, FULL = 1, 2

    @pytest.fixture
    def written(self) -> Iterator[list[tuple[str, int]]]:
        """The start of each statement that writes, with the value of ``PRAGMA synchronous`` at that moment.

        At the end of the test the value is back to normal, so a test could not read it then.
        """
        found: list[tuple[str, int]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            verb, *words = sql.split()
            if verb in {"INSERT", "UPDATE", "DELETE"}:
                found.append((f"{verb} {words[1] if verb == 'INSERT' else words[0]}", query("PRAGMA synchronous")[0]))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            yield found

    def test_a_rotation_does_not_wait(self, user, clock, written):
        holder = Holder(user)
        written.clear()
        holder.refresh()
        assert written == [('UPDATE "tokens_refreshtoken"', self.NORMAL)]

    def test_a_sign_in_waits(self, user, written):
        Holder(user)
        self._assert_waited(written, 'INSERT "tokens_refreshtoken"')

    def test_a_recovery_waits(self, user, clock, written):
        holder = Holder(user)
        holder.present()
        clock.forward(GRACE)
        written.clear()
        holder.refresh()
        self._assert_waited(written, 'UPDATE "tokens_refreshtoken"')

    def test_the_end_of_a_session_waits(self, user, written):
        holder = Holder(user)
        holder.put_back(generation=2)
        written.clear()
        assert holder.is_refused()
        self._assert_waited(written, 'INSERT "tokens_revocation"')

    def _assert_waited(self, written: list[tuple[str, int]], write: str) -> None:
        assert (write, self.FULL) in written
        assert {level for _, level in written} == {self.FULL}
