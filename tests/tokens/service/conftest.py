"""Fixtures for what the service does with its rows."""

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def without_vacuum(database: str, transactional_db: None) -> Iterator[None]:
    """Keeps autovacuum from tidying up what the refreshes themselves must.

    From other tables too: while it looks at one of this database, it sees old versions of all, and none is cleared.
    """
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    yield
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
