"""Two tenants with a schema each, in which the same user has the same primary key and the same password."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import Client

from tests.browsers import FIREFOX, login
from tests.tokens.tenants import schemas
from tests.tokens.tenants.schemas import FIRST, NAMES, SECOND, host
from tokens.service import triggers

HERE = "tests.tokens.tenants.schemas"


class Site:
    """What a test does at the two tenants."""

    def __init__(self, user: Any) -> None:
        self.user = user

    def browser(self, name: str) -> Client:
        """Return a new browser at the host of a tenant."""
        return Client(headers={"User-Agent": FIREFOX, "Host": host(name)})

    def signed_in(self, name: str, **more: Any) -> Client:
        browser = self.browser(name)
        login(browser, self.user, **more)
        return browser

    def copy(self, *tables: str) -> None:
        """Copy the rows of the first tenant to the second, as when a schema is cloned."""
        with connection.cursor() as cursor:
            for table in tables or ("tokens_device", "tokens_refreshtoken"):
                cursor.execute(f'INSERT INTO "{SECOND}"."{table}" SELECT * FROM "{FIRST}"."{table}"')  # noqa: S608

    def revoked(self) -> dict[str, int]:
        """Return how many sessions of each tenant are revoked."""
        found = {}
        with connection.cursor() as cursor:
            for name in NAMES:
                cursor.execute(f'SELECT count(*) FROM "{name}".tokens_refreshtoken WHERE revoked_at IS NOT NULL')  # noqa: S608
                found[name] = cursor.fetchone()[0]
        return found


@pytest.fixture
def without_hook(user: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The two schemas, in a project that does not name the tenant.

    Without it a test could pass because the same user is not in the other schema.
    """
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for name in NAMES:
            cursor.execute(f'CREATE SCHEMA "{name}"')
            for table in tables:
                cursor.execute(f'CREATE TABLE "{name}"."{table}" (LIKE public."{table}" INCLUDING ALL)')
            cursor.execute(f'INSERT INTO "{name}".accounts_user SELECT * FROM public.accounts_user')  # noqa: S608
    monkeypatch.setattr(DatabaseWrapper, "_cursor", schemas.cursor_in_schema)
    monkeypatch.setattr(connection, "schema_name", "public", raising=False)
    monkeypatch.setattr(schemas, "asked", [])
    settings.ALLOWED_HOSTS = [".testserver"]
    settings.MIDDLEWARE = [f"{HERE}.by_host", *settings.MIDDLEWARE]
    yield Site(user)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public")


@pytest.fixture
def site(without_hook: Site, settings: Any) -> Site:
    """The same two tenants, named by TENANT_HOOK. Without the hook a token of one tenant counts at the other."""
    settings.TOKENS = {"TENANT_HOOK": f"{HERE}.tenant_of", "TENANT_CONTEXT": f"{HERE}.in_schema"}
    return without_hook


@pytest.fixture
def with_triggers(site: Site) -> Site:
    """Without the triggers a test would not notice that a change by SQL is noted in another tenant's schema."""
    for name in NAMES:
        with schemas.in_schema(name):
            triggers.install("default")
    return site
