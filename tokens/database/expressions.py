"""Expressions for Django's ORM that PostgreSQL and SQLite write differently."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import (
    BigIntegerField,
    BooleanField,
    DateTimeField,
    F,
    Field,
    Func,
    Lookup,
    QuerySet,
    Subquery,
    Value,
)
from django.utils import timezone


class InstantField(DateTimeField):  # type: ignore[type-arg]
    """Django's field, whose values are always read in UTC.

    If the connection has a ``TIME_ZONE``, Django reads them in that zone. Python then subtracts, compares and adds to
    them by the clock on the wall, which is an hour off across a change of summer time. Migrations see Django's field.
    """

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, kwargs

    def get_db_converters(self, connection: Any) -> list[Any]:
        return [] if connection.timezone is UTC else [_in_utc]


def _in_utc(value: datetime | None, *context: Any) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class DatabaseNow(Func):
    """The clock of the database, read together with the row. On SQLite it is the clock of this process."""

    output_field = InstantField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "clock_timestamp()", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return Value(timezone.now(), self.output_field).as_sql(compiler, connection)


class Ago(Func):
    """The database's clock before a period. The period is seconds: days are longer and shorter in some time zones."""

    output_field = InstantField()

    def __init__(self, period: timedelta) -> None:
        super().__init__()
        self._period = period

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        clock, params = DatabaseNow().as_postgresql(compiler, connection)
        return f"({clock} - make_interval(secs => %s))", [*params, self._period.total_seconds()]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return Value(timezone.now() - self._period, self.output_field).as_sql(compiler, connection)


class WithoutFlush(Func):
    """A condition that is always true. Its statement commits without waiting for the disk or a standby.

    The statement must be a transaction of its own. SQLite's commits do not wait in any case.
    """

    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "set_config('synchronous_commit', 'off', true) = 'off'", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "1", []


class Row(Func):
    """Several columns or values that are compared as one, ``(a, b) > (1, 2)``, so that an index on both can be used."""

    function = ""
    output_field = Field()


class Among(Lookup):
    """``column = ANY(array)``. The array is passed on as `delete_returning` has returned it, without parsing.

    On SQLite, Django 6.1 compares every condition that is not a lookup with 1, and no index is used.
    """

    prepare_rhs = False

    def __init__(self, name: str, keys: list[Any]) -> None:
        super().__init__(F(name), keys)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return f"{sql} = ANY(%s::{self.lhs.output_field.db_type(connection)}[])", [*params, f"{{{','.join(self.rhs)}}}"]

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return f"{sql} IN ({', '.join(['%s'] * len(self.rhs))})", [*params, *self.rhs]


class Place(Func):
    """The physical place of a row, which finds it without an index. It is valid while the row is locked."""

    output_field = Field()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "ctid", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "rowid", []


class Found(Lookup):
    """Whether a row is in a queryset. The queryset is read first and once, whatever the planner would prefer."""

    def __init__(self, rows: QuerySet[Any]) -> None:
        super().__init__(Place(), Subquery(rows.values_list(Place())))

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._joined(compiler, " = ANY(ARRAY", ")")

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._joined(compiler, " IN ", "")

    def _joined(self, compiler: Any, joiner: str, end: str) -> Any:
        (key, of_key), (rows, of_rows) = map(compiler.compile, (self.lhs, self.rhs))
        return f"{key}{joiner}{rows}{end}", [*of_key, *of_rows]


class TransactionId(Func):
    """The id of the current transaction, which is the cursor of the revocation feed.

    On SQLite it is 0, and not used.
    """

    output_field = BigIntegerField()
    allowed_default = True

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "(pg_current_xact_id()::text::bigint)", []

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "0", []
