"""The first run: writes the `.env` with which `manage.py demo` and every later command start."""

import os
import secrets
from itertools import zip_longest
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ENV_FILE = Path(__file__).resolve().parents[2] / ".env"


def prepare(arguments: list[str]) -> None:
    """Write `.env` if there is none, and set PORT from ``--port``, so that ORIGIN has the right port."""
    is_first = not ENV_FILE.exists() and "SECRET_KEY" not in os.environ
    if not is_first:
        environ.Env.read_env(ENV_FILE)
    if not environ.Env().bool("DEBUG", default=is_first):
        raise ImproperlyConfigured("the demo needs DEBUG, because the password of its accounts is published.")
    if is_first:
        text = (
            "# Written by `manage.py demo`, for development only. Never use DEBUG in production.\n"
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


def _port(arguments: list[str]) -> str | None:
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument == "--port":
            return following
        if argument.startswith("--port="):
            return argument.removeprefix("--port=")
    return None
