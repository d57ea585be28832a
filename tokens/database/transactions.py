"""Which database takes writes, its clock, and transactions that are durable, bounded in time, or one at a time.

Our transactions are READ COMMITTED, whatever isolation level the project, the role or the database has chosen: they
lock rows, and decide on what was committed before. At REPEATABLE READ or SERIALIZABLE they would fail instead of
waiting. A single statement outside of a transaction has the level of the role, and is repeated if it fails for that
reason (`unless_overtaken`). In a transaction of the project nothing is repeated, because only the project can do it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, connections, router, transaction
from django.db.models.sql import Query
from django.utils import timezone

from tokens.database.expressions import DatabaseNow


def writer(model: Any) -> str:
    """Return the alias of the database that takes the model's writes. Decisions read only from this one."""
    return router.db_for_write(model)


def reader(model: Any) -> str:
    """Return the alias of the database for reads of the model that may miss its latest rows, such as a replica."""
    return router.db_for_read(model)


def clock(alias: str) -> datetime:
    """Return the time by the clock of this database."""
    if connections[alias].vendor != "postgresql":
        return timezone.now()
    sql, params = Query(None).get_compiler(alias).compile(DatabaseNow())
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params)
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def replication_lag(alias: str) -> timedelta | None:
    """Return how long ago the last commit that this replica has replayed was made.

    None if it has replayed none, or is not a replica. The commit is dated by the primary's clock, and compared to the
    replica's. If nothing is written, the lag grows although the replica is up to date. Later statements see a state
    that is at least as new, even in the same transaction, because each statement takes its own snapshot.
    """
    if connections[alias].vendor != "postgresql":
        return None
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - pg_last_xact_replay_timestamp() WHERE pg_is_in_recovery()")
        row = cursor.fetchone()
    return row[0] if row else None


_READ_COMMITTED = 2
"""psycopg's number of the isolation level."""
_OVERTAKEN = {"40001", "40P01"}
"""SQLSTATE of a serialization failure and of a deadlock: another transaction was faster."""


@contextmanager
def read_committed(alias: str) -> Iterator[None]:
    """A transaction in which each statement sees what was committed before it. Inside another one, a savepoint.

    psycopg names the level in BEGIN, so it takes no further statement, and works behind a pooler in transaction mode.
    What the project does after the commit (``on_commit``) has the project's level again.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        with transaction.atomic(using=alias):
            yield
        return
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    driver: Any = connection.connection
    usual = driver.isolation_level
    if driver.autocommit:  # Otherwise the driver has begun a transaction already.
        with connection.wrap_database_errors:
            driver.isolation_level = _READ_COMMITTED

    def restore() -> None:
        # If the rollback failed, Django has closed the connection. A pool may have it back in the transaction's state.
        if connection.connection is driver and driver.autocommit and not driver.closed:
            with connection.wrap_database_errors:
                driver.isolation_level = usual

    try:
        with transaction.atomic(using=alias):
            transaction.on_commit(restore, using=alias)
            yield
    finally:
        restore()


@contextmanager
def unless_overtaken(alias: str) -> Iterator[None]:
    """End quietly if a statement failed because another transaction was faster, so that the caller can repeat it.

    In a transaction the error is raised.
    """
    try:
        yield
    except OperationalError as error:
        if connections[alias].in_atomic_block or getattr(error.__cause__, "sqlstate", None) not in _OVERTAKEN:
            raise


TIMEOUT_MS = 1000
"""Milliseconds that a statement may take if a request sends it on behalf of the whole process."""


@contextmanager
def bounded(alias: str) -> Iterator[None]:
    """A transaction whose statements fail after `TIMEOUT_MS`. A lock or a slow database does not delay a request.

    Inside another transaction this is only a savepoint, and the statements are not bounded. SQLite has no setting for
    this, so no transaction is opened there.
    """
    connection = connections[alias]
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        yield
        return
    is_outermost = not connection.in_atomic_block
    with read_committed(alias):
        if is_outermost:
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
        yield


def take_turns(alias: str, lock_id: int) -> None:
    """In a transaction, wait until no other transaction holds the lock ``lock_id``, and hold it until the commit.

    The lock belongs to the transaction, so that it works behind a pooler in transaction mode. SQLite has only one
    writer at a time, and needs no lock.
    """
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_id])


_FULL = 2
"""The value of SQLite's ``PRAGMA synchronous`` with which a commit waits for the disk."""


@contextmanager
def durable(alias: str) -> Iterator[None]:
    """A transaction whose commit waits for the disk, as sign-ins, recoveries and revocations require.

    PostgreSQL's commits do so by default. SQLite's do not in the mode that this project uses (write-ahead log with
    ``synchronous=NORMAL``). On SQLite the transaction begins as a writer: one that reads first would fail instead of
    waiting for another writer.
    """
    connection: Any = connections[alias]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with read_committed(alias):
            yield
        return
    with connection.cursor() as cursor:
        usual = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.execute(f"PRAGMA synchronous = {max(usual, _FULL)}")
    mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
    try:
        with transaction.atomic(using=alias):
            yield
    finally:
        connection.transaction_mode = mode
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous = {usual}")
