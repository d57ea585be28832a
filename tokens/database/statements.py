"""Statements whose SQL Django's ORM compiles once per process.

Compiling some statements takes the ORM longer than PostgreSQL takes to execute them. A `Read` is written as a queryset.
On PostgreSQL its text is kept, and only the parameters change. On SQLite, which is for development, it is compiled each
time. A manager of the project's own may filter by what differs from request to request, so it is not read in this way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.signals import setting_changed
from django.db import connections
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.query import ModelIterable
from django.db.models.sql import DeleteQuery, Query

from tokens.database.expressions import DatabaseNow


class Parameter(Expression):
    """A placeholder in a queryset for a value that is given later."""

    def __init__(self, name: str) -> None:
        super().__init__(output_field=Field())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "%s", [self]


class Read:
    """A decorator for a function that returns a queryset. It is read with other values each time.

    The queryset is of a model's instances, or of ``values_list``. The function takes the alias of the database, and
    values by name. The names are field lookups, as in ``filter``. A value under any other name is passed as it is.
    """

    def __init__(self, rows: Callable[..., QuerySet[Any, Any]]) -> None:
        self._rows = rows
        self._compiled = lru_cache(maxsize=8)(self._compile)
        setting_changed.connect(self._forget)

    def __call__(self, alias: str, **values: Any) -> list[Any]:
        """Return the rows for these values: instances, or tuples."""
        connection = connections[alias]
        if connection.vendor != "postgresql":
            return list(self._rows(alias, **values))
        # In tests the clock is a value, and therefore part of the text.
        clock, clock_params = DatabaseNow().as_postgresql(None, connection)
        text, params, fields, converters, row = self._compiled(alias, (*values,), clock, *clock_params)
        given = {
            name: fields[name].get_db_prep_value(value, connection, prepared=False) if fields[name] else value
            for name, value in values.items()
        }
        with connection.cursor() as cursor:
            cursor.execute(text, [given[param.name] if isinstance(param, Parameter) else param for param in params])
            return [row(converted(values, converters, connection)) for values in cursor.fetchall()]

    def _forget(self, **kwargs: Any) -> None:
        self._compiled.cache_clear()

    def _compile(self, alias: str, names: Sequence[str], *clock: Any) -> Any:
        rows = self._rows(alias, **{name: Parameter(name) for name in names})
        compiler = rows.query.get_compiler(alias)
        text, params = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        row: Callable[[list[Any]], Any] = tuple
        if issubclass(rows._iterable_class, ModelIterable):
            row = partial(rows.model.from_db, alias, [column.target.attname for column, *_ in compiler.select])
        return text, params, {name: _field(rows.model, name) for name in names}, converters, row


def _field(model: Any, path: str) -> Any:
    """Return the field of a lookup, or None if it names none."""
    *relations, name = path.split("__")
    try:
        for relation in relations:
            model = model._meta.get_field(relation).related_model
        return model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def insert(alias: str, *rows: Model) -> None:
    """Insert new rows of one model with all columns. As with `QuerySet.bulk_create`, no signals are sent."""
    connection, fields = connections[alias], rows[0]._meta.concrete_fields
    size = connection.ops.bulk_batch_size(fields, rows)
    with connection.cursor() as cursor:
        for batch in (rows[start : start + size] for start in range(0, len(rows), size)):
            cursor.execute(
                _insertion(type(rows[0]), len(batch), alias),
                [field.get_db_prep_save(getattr(row, field.attname), connection) for row in batch for field in fields],
            )
    for row in rows:
        row._state.adding, row._state.db = False, alias


def update(row: Model, *names: str) -> None:
    """Write these columns of a row to its database. As with `QuerySet.update`, no signals are sent."""
    alias = str(row._state.db)
    connection, meta = connections[alias], row._meta
    fields = [*(meta.get_field(name) for name in names), meta.pk]
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]  # type: ignore[union-attr]
    with connection.cursor() as cursor:
        cursor.execute(_change(type(row), names, alias), values)


@lru_cache(maxsize=32)
def _change(model: Any, names: Sequence[str], alias: str) -> str:
    quote, meta = connections[alias].ops.quote_name, model._meta
    columns = ", ".join(f"{quote(meta.get_field(name).column)} = %s" for name in names)
    return f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(meta.pk.column)} = %s"  # noqa: S608


@lru_cache(maxsize=32)
def _insertion(model: Any, count: int, alias: str) -> str:
    quote = connections[alias].ops.quote_name
    columns = [quote(field.column) for field in model._meta.concrete_fields]
    row = f"({', '.join(['%s'] * len(columns))})"
    return (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)})"  # noqa: S608
        f" VALUES {', '.join([row] * count)}"
    )


def delete_returning(rows: QuerySet[Any], name: str) -> list[Any]:
    """Delete rows without signals and cascades.

    Return the value of one column of each, in the form that `Among` takes.
    """
    connection, field = connections[rows.db], rows.model._meta.get_field(name)
    sql, params = rows.query.chain(klass=DeleteQuery).get_compiler(rows.db).as_sql()
    returned = connection.ops.quote_name(field.column) + ("::text" if connection.vendor == "postgresql" else "")
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {returned}", params)
        return [key for (key,) in cursor.fetchall()]


class Columns:
    """The columns of a model's table for a statement in SQL, and the conversion of its rows to instances.

    ``sql`` lists the columns of the table with the alias ``name``. Raise `ValueError` for a model with several tables.
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
        """Take the columns from the values of a row, and return the instance, as the ORM would."""
        found = islice(values, len(self._names))
        return self._model.from_db(alias, self._names, converted(found, self._converters, connections[alias]))


def converted(values: Iterable[Any], converters: Any, connection: Any) -> list[Any]:
    """Return the values of a row as the ORM would. ``converters`` are those of its compiler."""
    found = list(values)
    for place, (those_of_one, column) in converters.items():
        for convert in those_of_one:
            found[place] = convert(found[place], column, connection)
    return found
