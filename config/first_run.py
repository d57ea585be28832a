"""The first run: the `.env` that `manage.py demo` leaves behind, and errors that a newcomer can act upon."""

import os
import re
import secrets
from pathlib import Path

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


def prepare(arguments: list[str]) -> None:
    """Write `.env` on the first run, and let ORIGIN follow ``--port``. Nothing that is there is changed."""
    if not ENV_FILE.exists() and "SECRET_KEY" not in os.environ:
        text = (
            "# Written by `manage.py demo`. For development: never serve people with DEBUG on.\n"
            f"DEBUG=true\nSECRET_KEY={secrets.token_urlsafe(48)}\n"
        )
        if database := os.environ.get("DATABASE_URL"):
            text += f"DATABASE_URL={database}\n"
        descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    if port := _port(arguments):
        os.environ["PORT"] = port


def _port(arguments: list[str]) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
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
