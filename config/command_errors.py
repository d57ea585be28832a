"""Errors of ``manage.py`` that the user can correct, in one line instead of a traceback."""

import os
import re

from django.core.exceptions import ImproperlyConfigured


def require_migrated_database(arguments: list[str]) -> None:
    """Check the database before ``runserver`` does. It would fail in a thread, with a traceback."""
    if os.environ.get("RUN_MAIN") or any(re.match("-h|--help|--settings", argument) for argument in arguments):
        return
    # manage.py imports this module for every command, also for those that need no Django.
    import django
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    django.setup()
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise ImproperlyConfigured("the database is not up to date. Run `manage.py migrate`.")
    connection.close()


def database_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that `explain` explains."""
    from django.db import DatabaseError, InterfaceError  # Only a command that has failed needs it.

    return DatabaseError, InterfaceError


def explain(error: Exception) -> str:
    """Return one line that says what to do about an error of the database."""
    text = one_line(error)
    if re.search(r"no such (table|column)|(relation|column) .* does not exist", text):
        return f"the database is not up to date ({text}). Run `manage.py migrate`."
    return f"the database cannot be used: {text}. Check DATABASE_URL."


def one_line(error: Exception) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split())
