"""What the rows ask of the database beyond the ORM: its clock, its transaction ids, and when a commit may not wait.

PostgreSQL and SQLite are known here, and the one statement of `tokens.service.rotating` is PostgreSQL's.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connections, router, transaction
from django.db.models import BigIntegerField, BooleanField, DateTimeField, F, Field, Func, QuerySet, Subquery, Value
from django.db.models.expressions import Col
from django.db.models.sql import DeleteQuery, Query
from django.utils import timezone


class DatabaseNow(Func):
    """The clock of the database that answers, read when the row is (SQLite: this process's clock)."""

    output_field = DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "clock_timestamp()", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return Value(timezone.now(), self.output_field).as_sql(compiler, connection)


class WithoutFlush(Func):
    """A condition that is true, and lets the statement's own transaction commit without waiting for disk or standby.

    It must stand in a statement that is a transaction of its own. SQLite's commits do not wait in any case: see
    `durable` for those that have to.
    """

    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "set_config('synchronous_commit', 'off', true) = 'off'", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "1", []


class Row(Func):
    """Several columns or values, compared as one: ``(a, b) > (1, 2)``, which an index on both can answer."""

    function = ""
    output_field = Field()


class Among(Func):
    """Whether a key is one of many that `delete_returning` gave: one parameter, with nothing to be parsed here."""

    output_field = BooleanField()

    def __init__(self, name: str, keys: list[Any]) -> None:
        super().__init__(F(name))
        self.keys = keys

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        [column] = self.source_expressions
        sql, params = compiler.compile(column)
        return f"{sql} = ANY(%s::{column.output_field.db_type(connection)}[])", [*params, f"{{{','.join(self.keys)}}}"]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.source_expressions[0])
        return f"{sql} IN ({', '.join(['%s'] * len(self.keys))})", [*params, *self.keys]


class Place(Func):
    """Where a row lies in its table, which finds it without an index; only as long as the row is locked."""

    output_field = Field()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "ctid", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "rowid", []


class Found(Func):
    """Whether a row is among those of a queryset, which is read first, and once, whatever the planner thinks of it."""

    output_field = BooleanField()

    def __init__(self, rows: QuerySet[Any]) -> None:
        super().__init__(Place(), Subquery(rows.values_list(Place())))

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._joined(compiler, " = ANY(ARRAY", ")")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._joined(compiler, " IN ", "")

    def _joined(self, compiler: Any, joiner: str, end: str) -> Any:
        (key, of_key), (rows, of_rows) = map(compiler.compile, self.source_expressions)
        return f"{key}{joiner}{rows}{end}", [*of_key, *of_rows]


class TransactionId(Func):
    """The id of the current transaction: what the revocation feed resumes from (SQLite: 0, its row ids will do)."""

    output_field = BigIntegerField()
    allowed_default = True

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "(pg_current_xact_id()::text::bigint)", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "0", []


class Columns:
    """All columns of a model's one table, as a statement of one's own names them, and the rows that it brings.

    ``sql``: the columns, where the table goes by the ``name``. Raises `ValueError` for a model of several tables.
    """

    def __init__(self, model: Any, name: str, alias: str) -> None:
        fields = model._meta.concrete_fields
        if len({field.model for field in fields}) > 1:
            raise ValueError(f"{model.__name__} is in several tables")
        compiler = Query(model).get_compiler(alias)
        columns = [Col(name, field) for field in fields]
        self.table = connections[alias].ops.quote_name(model._meta.db_table)
        self.sql = ", ".join(column.select_format(compiler, *compiler.compile(column))[0] for column in columns)
        self._model = model
        self._names = [field.attname for field in fields]
        self._converters = compiler.get_converters(columns)

    def read(self, values: Iterator[Any], alias: str) -> Any:
        """Take the columns from a row's values, and return the instance, as if the ORM had read it."""
        found = islice(values, len(self._names))
        return self._model.from_db(alias, self._names, converted(found, self._converters, connections[alias]))


def converted(values: Iterable[Any], converters: Any, connection: Any) -> list[Any]:
    """Return a row's values as the ORM hands them out. ``converters``: of its compiler, for these columns."""
    found = list(values)
    for place, (those_of_one, column) in converters.items():
        for convert in those_of_one:
            found[place] = convert(found[place], column, connection)
    return found


def writer(model: Any) -> str:
    """Return the alias of the database that takes the model's writes; decisions read from nowhere else."""
    return router.db_for_write(model)


def reader(model: Any) -> str:
    """Return the alias of the database that the model is read from where its latest rows may be missing."""
    return router.db_for_read(model)


def behind(alias: str) -> timedelta | None:
    """Return how long ago the last commit that this replica knows was made; None where it knows none, or is no replica.

    The commit is dated by the primary's clock, now is the replica's. Where nothing is written, a replica that has
    everything looks old too. What is asked afterwards, even in the same transaction, is at least as new: each statement
    sees what is there when it begins.
    """
    if connections[alias].vendor != "postgresql":
        return None
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - pg_last_xact_replay_timestamp() WHERE pg_is_in_recovery()")
        row = cursor.fetchone()
    return row[0] if row else None


def clock(alias: str) -> datetime:
    """Return the instant on the clock of this database."""
    if connections[alias].vendor != "postgresql":
        return timezone.now()
    sql, params = Query(None).get_compiler(alias).compile(DatabaseNow())
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params)
        now: datetime = cursor.fetchone()[0]
    return now


def delete_returning(rows: QuerySet[Any], name: str) -> list[Any]:
    """Delete rows on which no signal and no cascade hangs, and return a key that each held, as `Among` takes them."""
    connection, field = connections[rows.db], rows.model._meta.get_field(name)
    sql, params = rows.query.chain(klass=DeleteQuery).get_compiler(rows.db).as_sql()
    returned = connection.ops.quote_name(field.column) + ("::text" if connection.vendor == "postgresql" else "")
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {returned}", params)
        return [key for (key,) in cursor.fetchall()]


HURRY_MS = 1000
"""How long a statement may take that a request sends on behalf of all others."""


@contextmanager
def hurried(alias: str) -> Iterator[None]:
    """A transaction whose statements give up soon, where a lock or a slow database must not hold up a request.

    Within a transaction, which is not ours to hurry, a savepoint. SQLite has no such setting, and needs no transaction.
    """
    connection = connections[alias]
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        yield
        return
    is_ours = not connection.in_atomic_block
    with transaction.atomic(using=alias):
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {HURRY_MS}")
        yield


def take_turns(alias: str, turn: int) -> None:
    """Within a transaction, wait until no other that names the same ``turn`` is under way; others then wait for this.

    The lock is the transaction's, so a pooler in transaction mode passes it on. SQLite has one writer at a time anyway.
    """
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [turn])


_FULL = 2
"""Of SQLite's ``PRAGMA synchronous``: a commit waits for the disk."""


@contextmanager
def durable(alias: str) -> Iterator[None]:
    """A transaction whose commit waits for the disk, as sign-ins, recoveries and revocations must.

    PostgreSQL's commits do unless told otherwise. SQLite's (write-ahead log, ``synchronous=NORMAL``) do not; a project
    that has left SQLite as it comes (``FULL``) keeps it so. There it begins as a writer: one that read first would not
    wait for its turn, but fail at once.
    """
    connection: Any = connections[alias]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic(using=alias):
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
