"""The first run: the `.env` that `manage.py demo` leaves behind, and errors that a newcomer can act upon."""

import os
import re
import secrets
from itertools import zip_longest
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


def prepare(arguments: list[str]) -> None:
    """Write `.env` on the first run, and let ORIGIN follow ``--port``. Nothing that is there is changed."""
    if not environ.Env().bool("DEBUG", default=True):
        raise ImproperlyConfigured("the demo needs DEBUG, for its accounts have a published password.")
    if not ENV_FILE.exists() and "SECRET_KEY" not in os.environ:
        text = (
            "# Written by `manage.py demo`. For development: never serve people with DEBUG on.\n"
            f"DEBUG=true\nSECRET_KEY={secrets.token_urlsafe(48)}\n"
        )
        if database := os.environ.get("DATABASE_URL"):
            text += f"DATABASE_URL={database}\n"
        try:
            descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ImproperlyConfigured(f"{ENV_FILE} cannot be written: {error.strerror}.") from None
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    if (port := _port(arguments)) and port.isdecimal():
        os.environ["PORT"] = port


def require_migrated_database(arguments: list[str]) -> None:
    """Raise what is wrong with the database before ``runserver`` would, in a thread where nobody explains it."""
    if os.environ.get("RUN_MAIN") or any(re.match("-h|--help|--settings", argument) for argument in arguments):
        return
    import django
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    django.setup()
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise ImproperlyConfigured("the database is not up to date: run `manage.py migrate`")
    connection.close()


def _port(arguments: list[str]) -> str | None:
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == "--port":
            return following
        if argument.startswith("--port="):
            return argument.removeprefix("--port=")
    return None


def database_errors() -> tuple[type[Exception], ...]:
    from django.db import DatabaseError, InterfaceError

    return DatabaseError, InterfaceError


def explain(error: Exception) -> str:
    """Return one line that says what to do about an error of the database."""
    text = one_line(error)
    if re.search(r"no such (table|column)|(relation|column) .* does not exist", text):
        return f"the database is not up to date ({text}): run `manage.py migrate`"
    return f"the database cannot be used: {text} (DATABASE_URL says where it is)"


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
