"""Statements that Django's ORM writes once: to write some takes it longer than PostgreSQL takes to carry them out.

What is read and written is said to the ORM as ever. Of a read on PostgreSQL the text is kept, and its parameters are
put in each time; on SQLite, which is for development, it is written anew. Nothing that a project's own models or
managers may change is read so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from django.db import connections
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql import DeleteQuery, Query

from tokens.database.expressions import DatabaseNow

Values = tuple[Any, ...]


class Parameter(Expression):
    """Stands in a queryset for a value that comes later."""

    def __init__(self, name: str) -> None:
        super().__init__(output_field=Field())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return "%s", [self]


class Read:
    """A queryset of ``values_list``, to be read with other values each time.

    ``rows``: makes it, from an alias and values by name; these names are fields of its model, as filters write them.
    """

    def __init__(self, rows: Callable[..., QuerySet[Any, Any]]) -> None:
        self._rows = rows
        self._compiled = lru_cache(maxsize=8)(self._compile)

    def __call__(self, alias: str, **values: Any) -> list[Values]:
        """Return the rows that there are for these values."""
        connection = connections[alias]
        if connection.vendor != "postgresql":
            return list(self._rows(alias, **values))
        # A clock that is a value, as a test's is, is another text each time.
        clock, clock_params = DatabaseNow().as_postgresql(None, connection)
        text, params, fields, converters = self._compiled(alias, (*values,), clock, *clock_params)
        given = {
            name: fields[name].get_db_prep_value(value, connection, prepared=False) for name, value in values.items()
        }
        with connection.cursor() as cursor:
            cursor.execute(text, [given[param.name] if isinstance(param, Parameter) else param for param in params])
            return [tuple(converted(values, converters, connection)) for values in cursor.fetchall()]

    def _compile(self, alias: str, names: Sequence[str], *clock: Any) -> Any:
        rows = self._rows(alias, **{name: Parameter(name) for name in names})
        compiler = rows.query.get_compiler(alias)
        text, params = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        return text, params, {name: _field(rows.model, name) for name in names}, converters


def _field(model: Any, path: str) -> Any:
    """The field that a filter calls ``path``."""
    *relations, name = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model
    return model._meta.get_field(name)


def insert(alias: str, *rows: Model) -> None:
    """Write new rows of one model, with all their columns, as `QuerySet.bulk_create` does: no signal is sent."""
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
    """Delete rows on which no signal and no cascade hangs, and return a key that each held, as `Among` takes them."""
    connection, field = connections[rows.db], rows.model._meta.get_field(name)
    sql, params = rows.query.chain(klass=DeleteQuery).get_compiler(rows.db).as_sql()
    returned = connection.ops.quote_name(field.column) + ("::text" if connection.vendor == "postgresql" else "")
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {returned}", params)
        return [key for (key,) in cursor.fetchall()]


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
