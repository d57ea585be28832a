"""What the commands share: Django, set up with the tests' settings, and a PostgreSQL that they start themselves.

Import this module before any other of the tests, because most of those need Django's models.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
import psutil

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.db import connection  # noqa: E402

from tests.benchmarks.options import parser  # noqa: E402
from tests.databases import Databases  # noqa: E402
from tests.scale.cluster import Database  # noqa: E402


def run_on_postgresql(run: Callable[..., Any], description: str | None, **texts: str) -> None:
    """Call ``run`` with the options of the command line while ``default`` is a new and empty database.

    ``texts``: the help of each option, which is a parameter of ``run``.
    """
    options = vars(parser(run, description, **texts).parse_args())
    databases = Databases("_benchmark")
    try:
        databases.use("postgresql")
        run(**options)
    finally:
        databases.destroy()


@contextmanager
def postgres_started() -> Iterator[Database]:
    """Start a server without any table."""
    server = Database()
    try:
        server.initialize()
        server.start()
        yield server
    finally:
        server.cleanup()


def server_process() -> psutil.Process:
    """Return the process of the server that this thread's connection talks to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return psutil.Process(cursor.fetchone()[0])


def cpu(*processes: psutil.Process) -> float:
    """Return the seconds of CPU that these processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
