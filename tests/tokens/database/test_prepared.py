"""Prepared statements: they return and raise what Django's cursor does."""

from typing import Any

import pytest
from django.db import DataError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql")]

INSTANT = "SELECT %s::timestamptz"
INSTANTS = [
    "2030-01-02 03:04:05+00",
    "2030-01-02 03:04:05.6+00",
    "2030-01-02 03:04:05.000007+05:30",
    "0001-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    None,
]
BEYOND = ["10000-01-01 00:00:00+00", "0001-12-31 00:00:00+00 BC", "infinity", "-infinity"]


def fetchone(text: str, *params: Any, types: list[str] | None = None) -> Any:
    from tokens.database.prepared import Prepared  # `prepared` needs PostgreSQL's driver, which may not be installed.

    return Prepared(text, types or ["text"] * len(params)).fetchone(connection, params)


def by_django(text: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        return cursor.fetchone()


@pytest.mark.parametrize(
    "instant",
    INSTANTS,
    ids=["seconds", "tenths", "microseconds of another zone", "the first instant", "the last instant", "null"],
)
def test_an_instant_is_read_as_django_reads_it(instant):
    assert fetchone(INSTANT, instant) == by_django(INSTANT, instant)


@pytest.mark.parametrize("instant", BEYOND)
def test_an_instant_that_python_cannot_represent_raises_djangos_error(instant):
    messages = []
    for read in (by_django, fetchone):
        with pytest.raises(DataError) as raised:
            read(INSTANT, instant)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_parameters_of_every_type_are_returned_as_they_were_sent():
    values = (b"\0\xff", 7, None, "ü")
    assert fetchone("SELECT %s, %s, %s, %s", *values, types=["bytea", "bigint", "uuid", "text"]) == values
    assert fetchone("SELECT 1 WHERE %s = 'b'", "a") is None


@pytest.mark.parametrize(
    ("text", "error"), [("SELECT 1 / %s", DataError), ("SELECT %s FROM nowhere", ProgrammingError)]
)
def test_errors_are_those_of_django(text, error):
    for _ in range(2):
        with pytest.raises(error):
            fetchone(text, 0, types=["bigint"])


@pytest.mark.parametrize("before", ["", "SELECT 1"], ids=["first", "second"])
def test_it_is_part_of_the_transaction_also_as_its_first_statement(before):
    user = UserFactory()
    with transaction.atomic():
        if before:
            connection.cursor().execute(before)
        text = "UPDATE accounts_user SET email = %s RETURNING email"
        assert fetchone(text, "another@example.org") == ("another@example.org",)
        transaction.set_rollback(True)
    email = user.email
    user.refresh_from_db()
    assert user.email == email


def test_execute_wrappers_and_the_query_log_see_it_without_its_parameters():
    seen = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(f"{sql} /* seen */", params, many, context)

    with connection.execute_wrapper(wrapper), CaptureQueriesContext(connection) as captured:
        assert fetchone("SELECT %s", "a secret") == ("a secret",)
    assert (seen, [query["sql"] for query in captured]) == (["SELECT %s"], ["SELECT %s /* seen */"])
