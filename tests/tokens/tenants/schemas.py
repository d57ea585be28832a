"""A project with one PostgreSQL schema for each tenant, which the host of a request names.

It does what django-tenants does: a middleware notes the schema on the connection, and the database backend selects it
before each statement. `tests.foreign.tenants` runs with django-tenants itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import authenticate
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.http import HttpRequest

from tests.tokens.protocol.pems import pem

NAMES = FIRST, SECOND = "first", "second"
asked: list[str] = []
"""The paths of the requests whose tenant was asked for."""
_cursor = DatabaseWrapper._cursor


def host(name: str) -> str:
    return f"{name}.testserver"


def cursor_in_schema(self: Any, name: str | None = None) -> Any:
    """Stand for ``DatabaseWrapper._cursor``, as in the backend of django-tenants."""
    found = _cursor(self, name)
    if name is None:
        found.execute(f'SET search_path = "{getattr(self, "schema_name", "public")}"')
    return found


def by_host(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Note on the connection and on the request which schema the host names."""

    def middleware(request: HttpRequest) -> Any:
        request.tenant = request.get_host().partition(".")[0]  # type: ignore[attr-defined]
        connection.schema_name = request.tenant if request.tenant in NAMES else "public"  # type: ignore[attr-defined]
        return get_response(request)

    return middleware


def tenant_of(request: Any) -> str | None:
    """Stand for the setting TENANT_HOOK."""
    asked.append(request.path)
    name = request.tenant if hasattr(request, "tenant") else request.headers["Host"].partition(".")[0]
    return name if name in NAMES else None


def keys_of(name: str) -> list[str]:
    """Stand for the setting TENANT_KEYS: only the second tenant has a key of its own."""
    return [pem("ES256")] if name == SECOND else []


@contextmanager
def in_schema(name: str) -> Iterator[None]:
    """Select a schema in the block. It also stands for the setting TENANT_CONTEXT."""
    before = getattr(connection, "schema_name", "public")
    connection.schema_name = name  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.schema_name = before  # type: ignore[attr-defined]


def tenant_or_none(request: Any) -> str | None:
    """Stand for a TENANT_HOOK of a project that also has hosts without a tenant."""
    name = getattr(request, "tenant", None)
    return name if name in NAMES else None


def checks_a_password(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Stand outside of what names the tenant, and check a password that stands in a header."""

    def middleware(request: HttpRequest) -> Any:
        if "X-Password" in request.headers:
            authenticate(request, username="nobody", password=request.headers["X-Password"])
        return get_response(request)

    return middleware
