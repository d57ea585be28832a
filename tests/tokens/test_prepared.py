"""A prepared statement does what any other does, only with less ado."""

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
    from tokens.prepared import Prepared  # PostgreSQL's driver: not where SQLite is all there is.

    return Prepared(text, types or ["text"] * len(params)).fetchone(connection, params)


def by_django(text: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        return cursor.fetchone()


@pytest.mark.parametrize("instant", INSTANTS)
def test_instants_are_those_that_django_reads(instant):
    assert fetchone(INSTANT, instant) == by_django(INSTANT, instant)


@pytest.mark.parametrize("instant", BEYOND)
def test_instants_that_python_does_not_know_are_refused_as_django_refuses_them(instant):
    with pytest.raises(DataError) as theirs:
        by_django(INSTANT, instant)
    with pytest.raises(DataError) as ours:
        fetchone(INSTANT, instant)
    assert str(ours.value) == str(theirs.value)


def test_what_comes_and_goes():
    text = "SELECT %s, %s, %s, %s"
    assert fetchone(text, b"\0\xff", 7, None, "ü", types=["bytea", "bigint", "uuid", "text"]) == (
        b"\0\xff",
        7,
        None,
        "ü",
    )
    assert fetchone("SELECT 1 WHERE %s = 'b'", "a") is None


@pytest.mark.parametrize(
    ("text", "error"), [("SELECT 1 / %s", DataError), ("SELECT %s FROM nowhere", ProgrammingError)]
)
def test_errors_are_djangos(text, error):
    for _ in range(2):
        with pytest.raises(error):
            fetchone(text, 0, types=["bigint"])


def test_it_is_part_of_the_transaction_even_as_its_first_statement():
    user = UserFactory()
    text = "UPDATE accounts_user SET email = %s RETURNING email"
    for before in ("", "SELECT 1"):
        with transaction.atomic():
            if before:
                connection.cursor().execute(before)
            assert fetchone(text, "another@example.org") == ("another@example.org",)
            transaction.set_rollback(True)
        email = user.email
        user.refresh_from_db()
        assert user.email == email


def test_whoever_looks_on_sees_it_without_its_parameters():
    seen = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(f"{sql} /* seen */", params, many, context)

    with connection.execute_wrapper(wrapper), CaptureQueriesContext(connection) as captured:
        assert fetchone("SELECT %s", "a secret") == ("a secret",)
    assert seen == ["SELECT %s"]
    assert [query["sql"] for query in captured] == ["SELECT %s /* seen */"]
