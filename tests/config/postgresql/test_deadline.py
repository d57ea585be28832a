"""A request waits for PostgreSQL no longer than its deadline allows. `tests.faults` tests real faults."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.http import HttpResponse
from django.test import RequestFactory

from config.postgresql import deadline
from config.postgresql.base import Connection, ImpatientConnection

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]
SLEEP = "SELECT pg_sleep(60)"


@pytest.fixture(params=[Connection, ImpatientConnection])
def connection(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection of the project's classes, with a deadline of a tenth of a second.

    Without the reset of ``_silent_until`` an outage in one test would make the next one fail.
    """
    settings.DATABASE_TIMEOUT = 0.1
    monkeypatch.setattr(deadline, "_silent_until", float("-inf"))
    params = connections["default"].get_connection_params()
    kept = {name: params[name] for name in ("dbname", "user", "password", "host", "port") if name in params}
    with request.param.connect(**kept, autocommit=True) as found:
        yield found


def in_a_request(statement: str, connection: Connection) -> None:
    def view(request: Any) -> HttpResponse:
        connection.execute(statement)
        return HttpResponse()

    deadline.middleware(view)(RequestFactory().get("/"))


def is_running(statement: str) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s AND pid <> pg_backend_pid()"
    with connections["default"].cursor() as cursor:
        cursor.execute(query, [statement])
        return bool(cursor.fetchone()[0])


def test_a_statement_that_takes_too_long_is_an_outage_and_is_cancelled(connection):
    with pytest.raises(psycopg.OperationalError):
        in_a_request(SLEEP, connection)
    assert connection.closed
    assert not is_running(SLEEP)
    assert not deadline.is_silent(), "The server did answer."


def test_a_request_after_its_deadline_sends_no_statement(connection, settings):
    settings.DATABASE_TIMEOUT = 0
    with pytest.raises(psycopg.OperationalError, match="deadline"):
        in_a_request("SELECT 1", connection)
    assert not connection.closed
    assert connection.execute("SELECT 1").fetchone() == (1,), "Outside of a request there is no deadline."


def test_a_connection_can_be_set_up_after_the_deadline_because_that_sends_no_statement(connection, settings):
    """A transaction that was committed just in time is not answered 503, and leaves the connection as it was."""
    settings.DATABASE_TIMEOUT = 0

    def view(request: Any) -> HttpResponse:
        connection.isolation_level = IsolationLevel.SERIALIZABLE
        connection.autocommit = False
        return HttpResponse()

    deadline.middleware(view)(RequestFactory().get("/"))
    assert connection.execute("SHOW transaction_isolation").fetchone() == ("serializable",)


def test_a_task_that_goes_on_after_its_request_has_no_deadline(settings):
    settings.DATABASE_TIMEOUT = 0
    is_over, task, found = asyncio.Event(), [], []

    async def later() -> None:
        found.append(deadline.left())
        await is_over.wait()
        found.append(deadline.left())

    async def view(request: Any) -> HttpResponse:
        task.append(asyncio.ensure_future(later()))
        await asyncio.sleep(0)
        return HttpResponse()

    async def request() -> None:
        await deadline.middleware(view)(RequestFactory().get("/"))
        is_over.set()
        await task[0]

    asyncio.run(request())
    assert (found[0] is not None, found[1]) == (True, None)


def test_a_read_only_server_is_an_outage_and_its_connection_is_closed(connection):
    """A server becomes read-only when it is no longer the primary."""
    connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        in_a_request("CREATE TABLE nothing ()", connection)
    assert connection.closed


def test_a_server_that_stops_during_a_commit_is_an_outage_and_its_connection_is_closed(connection):
    """The server may answer the commit with two results, which psycopg does not expect."""
    with pytest.raises(psycopg.OperationalError, match="received 2 results"):
        connection.wait(connection._exec_command(b"SELECT 1; SELECT 2"))
    assert connection.closed
