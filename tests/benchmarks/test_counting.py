"""The counter of statements, with a real database. Nobody would see that a number which it counted is wrong."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from django.db import connection

from tests.benchmarks.counting import Counter, counting


@pytest.fixture
def counted(db: None) -> Iterator[tuple[Counter, psycopg.Connection]]:
    """A counter, and a connection to the tests' database through it."""
    connection.ensure_connection()
    server = connection.connection.info
    if not server.host.startswith("/"):
        pytest.skip("the server that DATABASE_URL names is not reached over a Unix socket")
    target = Path(server.host) / f".s.PGSQL.{server.port}"
    with TemporaryDirectory(prefix="latchkey-") as folder, counting(Path(folder) / target.name, target) as counter:
        parameters = {**server.get_parameters(), "host": folder}
        with psycopg.connect(**parameters, password=server.password, autocommit=True) as session:
            yield counter, session


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("values", [None, [1]], ids=["simple", "extended"])
def test_a_statement_is_one_round_trip(counted, values):
    counter, session = counted
    before = counter.statements, counter.round_trips
    session.execute("SELECT 1" if values is None else "SELECT %s", values)
    assert (counter.statements, counter.round_trips) == (before[0] + 1, before[1] + 1)


@pytest.mark.only_on("postgresql")
def test_the_begin_and_the_commit_of_a_transaction_count_too(counted):
    counter, session = counted
    before = counter.statements, counter.round_trips
    with session.transaction():
        session.execute("SELECT generate_series(1, 20000)")
    assert (counter.statements, counter.round_trips) == (before[0] + 3, before[1] + 3)
