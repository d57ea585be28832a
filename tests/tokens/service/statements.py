"""The SQL statements that an action sends: count them, make them fail, or do something just before one of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from tokens.models import RefreshToken

TABLE = RefreshToken._meta.db_table
WITHOUT_FLUSH = "set_config('synchronous_commit', 'off', true)"
"""In a statement of a transaction whose commit does not wait for the disk."""


def statements(action: Callable[[], Any]) -> list[str]:
    """Return the statements that ``action`` sends, including those that begin and end transactions."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return [query["sql"] for query in captured]


def verbs(action: Callable[[], Any]) -> list[str]:
    """Return the first word of each of these statements."""
    return [sql.split()[0] for sql in statements(action)]


@contextmanager
def failing(where: str = "", after: int = 0) -> Iterator[list[str]]:
    """Make each statement that contains ``where`` fail, except for the first ``after`` ones. Yield the failed ones.

    A PRAGMA never fails: the test's connection would otherwise keep the setting that it was to reset.
    """
    failed: list[str] = []
    left = after

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        if where not in sql or "PRAGMA" in sql:
            return execute(sql, params, many, context)
        if left:
            left -= 1
            return execute(sql, params, many, context)
        failed.append(sql)
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail):
        yield failed


@contextmanager
def before_the_update(action: Callable[[], Any], times: int = 1, where: str = 'UPDATE "') -> Iterator[None]:
    """Run ``action`` just before a statement that contains ``where``, as if another request was faster."""
    left, acting = times, False

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left, acting
        if where in sql and left and not acting:
            left, acting = left - 1, True
            action()
            acting = False
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def query(sql: str, *params: Any) -> Any:
    """Execute one statement and return the first row of its result, or None if it has no result."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchone() if cursor.description else None


def explained(sql: str) -> list[dict[str, Any]]:
    """Execute a statement, and return the nodes of PostgreSQL's plan."""
    [found] = query(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
    nodes = [(json.loads(found) if isinstance(found, str) else found)[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return nodes


def rows_read(node: dict[str, Any]) -> float:
    """Return how many rows a node of a plan has read, including those that it has discarded."""
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def effect_on_the_table(action: Callable[[], None]) -> tuple[int, int, int]:
    """Return what ``action`` does to the table of sessions: (rows updated, rows updated in place, growth in bytes).

    The growth includes that of the primary key's index.
    """
    before, size = _updates(), _size()
    action()
    after = _updates()
    return after[0] - before[0], after[1] - before[1], _size() - size


def _updates() -> tuple[int, int]:
    """Return how many rows of the table have been updated so far, and how many of them in place."""
    query("SELECT pg_stat_force_next_flush()")
    updates: tuple[int, int] = query(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", TABLE
    )
    return updates


def _size() -> int:
    size: int = query("SELECT pg_relation_size(%s) + pg_relation_size(%s)", TABLE, f"{TABLE}_pkey")[0]
    return size
