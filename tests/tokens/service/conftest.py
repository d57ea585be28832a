"""Fixtures for the tests of the service."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from tests.settings import PG_URL
from tests.tokens.service.holders import AnotherProcess, Holder
from tests.tokens.service.statements import query


@pytest.fixture
def holder(user: Any) -> Holder:
    """A live session. Without one, a test could not tell that a session has ended from that there was none."""
    return Holder(user)


@pytest.fixture
def elsewhere(db: None) -> AnotherProcess:
    """Another process that has read the feed before. A process that has just started would read the feed regardless."""
    process = AnotherProcess()
    process.is_revoked(uuid4())
    return process


@pytest.fixture
def without_vacuum(database: str, transactional_db: None) -> Iterator[None]:
    """Switch autovacuum off. With it, a test would not notice that refreshes no longer reuse the space of old rows.

    It is switched off for the whole server. A vacuum of any table in this database keeps the old rows of all tables
    from being removed. On a server that ``DATABASE_URL`` names, the settings are not ours to change, so only the
    tables of the tests are changed.
    """
    if PG_URL.startswith("postgres"):
        tables = connection.introspection.table_names()
        for table in tables:
            query(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        yield
        for table in tables:
            query(f"ALTER TABLE {table} RESET (autovacuum_enabled)")
    else:
        query("ALTER SYSTEM SET autovacuum = off")
        query("SELECT pg_reload_conf()")
        while query("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'") != (0,):
            time.sleep(0.02)
        yield
        query("ALTER SYSTEM RESET autovacuum")
        query("SELECT pg_reload_conf()")
