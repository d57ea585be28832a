"""Triggers that note in `Revocation` what the code cannot see: changes by SQL, by querysets, and by other programs.

===========================  ==========================================================================================
``tokens_user_changed``      on the user's table: a changed password hash, or a deactivation, is noted with the user's
                             primary key
``tokens_session_deleted``   on the table of sessions: a deleted row is noted as an ended session
===========================  ==========================================================================================

A trigger decides nothing. `tokens.service.user_changes` does, from the rows as they are.

They are installed after every ``migrate``, because SQLite drops a table's triggers when a migration remakes the table.
On SQLite they are removed before, because a table that a trigger writes to cannot be remade.
On PostgreSQL a trigger runs with the rights of the role that installed it, so that a role that may only change users
can do so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import Error, connections, transaction
from django.db.backends.utils import truncate_name

from tokens.conf import tenants
from tokens.models import RefreshToken, Revocation
from tokens.service import events

_POSTGRESQL = """\
CREATE OR REPLACE FUNCTION {schema}.{function}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.{notes} (session_id, user_key, created_at) VALUES ({session}, {user}, {now});
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({condition})
EXECUTE FUNCTION {schema}.{function}()"""

_SQLITE = """\
CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {condition}
BEGIN
    INSERT INTO {notes} (session_id, user_key, created_at)
    VALUES ({session}, {user}, {now});
END"""

_NOW = {"postgresql": "clock_timestamp()", "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}

USER_CHANGED, SESSION_DELETED = "tokens_user_changed", "tokens_session_deleted"
_installed: set[tuple[str, ...]] = set()
"""Where this process has found all triggers: databases, and their schemas if each tenant has one."""


@dataclass(frozen=True, slots=True)
class _Trigger:
    """A trigger. ``condition``, ``session`` and ``user`` are SQL; the last two are the values that it notes."""

    name: str
    table: str
    event: str
    condition: str
    session: str
    user: str


def install(alias: str) -> None:
    """Install the triggers that are missing. Log an error if the database does not allow it."""
    for trigger in _missing(alias):
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute(_statement(trigger, alias))
        except Error as error:
            events.log("trigger not installed", trigger=trigger.name, table=trigger.table, error=type(error).__name__)
    if connections[alias].vendor == "sqlite" and not RefreshToken.objects.using(alias).exists():
        # There ``flush``, after which this is called, deletes row by row. The trigger has noted each deleted session.
        Revocation.objects.using(alias).all().delete()


def remove(alias: str) -> None:
    """Remove the triggers that are installed."""
    _installed.discard(_place(alias))
    found = _found(alias)
    is_postgresql = connections[alias].vendor == "postgresql"
    with connections[alias].cursor() as cursor:
        for name, table in found:
            on = f" ON {connections[alias].ops.quote_name(table)}" if is_postgresql else ""
            cursor.execute(f"DROP TRIGGER {name}{on}")
            if is_postgresql:
                cursor.execute(f"DROP FUNCTION IF EXISTS {_function(name, table, alias)}()")


def has_tables(alias: str) -> bool:
    """Return whether all migrations that the triggers need have been applied."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if not {Revocation._meta.db_table, *(trigger.table for trigger in _required(alias))} <= tables:
            return False
        columns = connection.introspection.get_table_description(cursor, Revocation._meta.db_table)
    return "user_key" in {column.name for column in columns}


def missing(alias: str) -> list[str]:
    """Return the names of the triggers that are not installed, with their tables."""
    return [f"{trigger.name} on {trigger.table}" for trigger in _missing(alias)]


def are_installed(alias: str) -> bool:
    """Return whether all triggers are installed. It takes a query only until they are."""
    place = _place(alias)
    if place not in _installed and not missing(alias):
        _installed.add(place)
    return place in _installed


def _place(alias: str) -> tuple[str, ...]:
    # The backend of django-tenants notes the schema on the connection. Commands go through all schemas.
    return alias, tenants.current(), str(getattr(connections[alias], "schema_name", ""))


def _found(alias: str) -> set[tuple[str, str]]:
    """Return the triggers that are installed: their names and tables."""
    connection = connections[alias]
    if connection.vendor == "postgresql":
        query = "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE tgenabled <> 'D'"
        query += " AND pg_table_is_visible(tgrelid)"
    else:
        query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {(name, table) for name, table in cursor.fetchall() if name in {USER_CHANGED, SESSION_DELETED}}


def _missing(alias: str) -> list[_Trigger]:
    found = _found(alias)
    return [trigger for trigger in _required(alias) if (trigger.name, trigger.table) not in found]


def _required(alias: str) -> Iterator[_Trigger]:
    """Yield the triggers that the project needs: one for each table that has columns of the user model."""
    quote, is_postgresql = connections[alias].ops.quote_name, connections[alias].vendor == "postgresql"
    changes: dict[Any, list[str]] = {}
    for name in ("password", "is_active"):
        try:
            field: Any = get_user_model()._meta.get_field(name)
        except FieldDoesNotExist:
            continue  # ``is_active`` can be a property. Nothing hears of its changes then.
        old, new = f"OLD.{quote(field.column)}", f"NEW.{quote(field.column)}"
        differs = f"{old} {'IS DISTINCT FROM' if is_postgresql else 'IS NOT'} {new}"
        changes.setdefault(field.model, []).append(differs if name == "password" else f"({old} AND NOT {new})")
    for model, conditions in changes.items():
        user = f"CAST(OLD.{quote(model._meta.pk.column)} AS {'varchar' if is_postgresql else 'text'})"
        yield _Trigger(USER_CHANGED, model._meta.db_table, "UPDATE", " OR ".join(conditions), "NULL", user)
    # The purge deletes expired sessions, which need no note.
    live = f"OLD.revoked_at IS NULL AND OLD.expires_at > {_NOW[connections[alias].vendor]}"
    yield _Trigger(SESSION_DELETED, RefreshToken._meta.db_table, "DELETE", live, "OLD.id", "''")


def _function(name: str, table: str, alias: str) -> str:
    """Return the name of a trigger's function. Each table has its own, because their keys have different names."""
    return connections[alias].ops.quote_name(truncate_name(f"{name}_{table}", 63))


def _statement(trigger: _Trigger, alias: str) -> str:
    connection = connections[alias]
    quote, is_postgresql = connection.ops.quote_name, connection.vendor == "postgresql"
    schema = ""
    if is_postgresql:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            schema = quote(cursor.fetchone()[0])
    return (_POSTGRESQL if is_postgresql else _SQLITE).format(
        schema=schema,
        name=trigger.name,
        function=_function(trigger.name, trigger.table, alias) if is_postgresql else "",
        event=trigger.event,
        table=quote(trigger.table),
        condition=trigger.condition,
        notes=quote(Revocation._meta.db_table),
        session=trigger.session,
        user=trigger.user,
        now=_NOW[connection.vendor],
    )
