"""A request waits for PostgreSQL no longer than it may. Real faults are in `tests.faults`."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory

from config import deadlines
from config.postgresql.base import Connection, HurriedConnection

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]
SLEEP = "SELECT pg_sleep(60)"


@pytest.fixture(params=[Connection, HurriedConnection])
def connection(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection of the project's, in a site where a request may wait for the tenth of a second."""
    settings.DATABASE_TIMEOUT = 0.1
    monkeypatch.setattr(deadlines, "_silent_until", float("-inf"))
    params = connections["default"].get_connection_params()
    kept = {name: params[name] for name in ("dbname", "user", "password", "host", "port") if name in params}
    with request.param.connect(**kept, autocommit=True) as found:
        yield found


def in_a_request(statement: str, connection: Connection) -> None:
    def view(request: Any) -> HttpResponse:
        connection.execute(statement)
        return HttpResponse()

    deadlines.middleware(view)(RequestFactory().get("/"))


def is_running(statement: str) -> bool:
    with connections["default"].cursor() as cursor:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s AND pid <> pg_backend_pid()"
        )
        cursor.execute(query, [statement])
        return bool(cursor.fetchone()[0])


def test_a_statement_that_is_late_is_an_outage_and_taken_back(connection):
    with pytest.raises(psycopg.OperationalError):
        in_a_request(SLEEP, connection)
    assert connection.closed
    assert not is_running(SLEEP)
    assert not deadlines.is_silent(), "It did answer."


def test_a_request_whose_time_is_over_sends_nothing_more(connection, settings):
    settings.DATABASE_TIMEOUT = 0
    with pytest.raises(psycopg.OperationalError, match="over"):
        in_a_request("SELECT 1", connection)
    assert not connection.closed
    assert connection.execute("SELECT 1").fetchone() == (1,), "Outside a request there is time."


def test_a_server_that_may_not_write_is_an_outage_and_left(connection):
    """As one is that was the primary until now."""
    connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        in_a_request("CREATE TABLE nothing ()", connection)
    assert connection.closed
