"""Fixtures for what the service does with its rows."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.settings import PG_URL


@pytest.fixture
def without_vacuum(database: str, transactional_db: None) -> Iterator[None]:
    """Keeps autovacuum from tidying up what the refreshes themselves must.

    From other tables too, PostgreSQL's own included: while it looks at one of this database, it sees old versions of
    all, and none is cleared. A server that somebody has named is not ours to set up: there our tables have to do.
    """
    if PG_URL.startswith("postgres"):
        by_table = [f"ALTER TABLE {table} {{}}" for table in connection.introspection.table_names()]
        _execute(*(statement.format("SET (autovacuum_enabled = false)") for statement in by_table))
        yield
        _execute(*(statement.format("RESET (autovacuum_enabled)") for statement in by_table))
    else:
        _execute("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
        while _execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'"):
            time.sleep(0.02)
        yield
        _execute("ALTER SYSTEM RESET autovacuum", "SELECT pg_reload_conf()")


def _execute(*statements: str) -> Any:
    """Execute the statements; return what the last one says, if it is a query."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
