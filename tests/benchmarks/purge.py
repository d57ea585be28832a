"""What does a purge cost, and whom does it keep waiting? ``python -m tests.benchmarks.purge``.

Of a large table of sessions a fifth is past its retention. On copies of it, on a PostgreSQL of the benchmark's own:

- one DELETE of these sessions, and one of the devices that have no other, in one transaction; beside it the project's
  purge, which deletes both, in batches: the seconds that each takes, and those of a processor that its connection
  takes of the server;
- refreshes by the project's own service, one after the other, beside ``manage.py purge_tokens`` and, while this is held
  up for a moment, alone;
- the most memory that this command takes, where there is much to delete and where there is nothing.

All are taken in turn, so that what else the machine does hits them alike. The last line is of all rounds: the medians,
and the 99th percentile of all refreshes.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median, quantiles

import django
import psutil

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import Exists, OuterRef  # noqa: E402

from tests import crowd  # noqa: E402
from tests.databases import Databases  # noqa: E402
from tests.tokens.service.processes import ROOT, url_of  # noqa: E402
from tokens.database import clock  # noqa: E402
from tokens.management.commands.purge_tokens import DEFAULT_BATCH  # noqa: E402
from tokens.models import Device, RefreshToken  # noqa: E402
from tokens.rotation import Decision  # noqa: E402
from tokens.service.client import Client  # noqa: E402
from tokens.service.grants import Grant  # noqa: E402
from tokens.service.purge import purges  # noqa: E402
from tokens.service.refreshing import refresh  # noqa: E402

HOME = Client("192.0.2.7", "Firefox")
SLICE = 0.2
"""Seconds for which refreshes go alone, or beside the purge, before it is the other's turn."""


class Copies:
    """Copies of the database ``default``, which is where one is made after the other."""

    def __init__(self) -> None:
        self._original = connection.settings_dict["NAME"]
        self._copy = f"{self._original}_copy"

    def renew(self) -> None:
        """Let ``default`` be a new copy, with nothing left to be written by the server."""
        self.drop()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{self._copy}" TEMPLATE "{self._original}" STRATEGY file_copy')
            cursor.execute("CHECKPOINT")
        connection.settings_dict["NAME"] = self._copy

    def drop(self) -> None:
        """Let ``default`` be the original."""
        connection.close()
        connection.settings_dict["NAME"] = self._original
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{self._copy}"')


def one_delete() -> int:
    """Delete as a person at a prompt would."""
    sessions = purges()[0].rows
    with transaction.atomic():
        deleted: int = sessions._raw_delete(sessions.db)
        devices = Device.objects.filter(~Exists(RefreshToken.objects.filter(device=OuterRef("pk"))))
        devices._raw_delete(devices.db)
    return deleted


def in_batches(size: int) -> int:
    """Purge as the project does."""
    return sum(deleted for purge in purges() for deleted in purge.batches(size))


def refreshed(sessions: Iterator[str]) -> float:
    """Rotate the next session; return how long it took, in milliseconds."""
    token = crowd.token_of(next(sessions))
    began = time.perf_counter()
    answer = refresh(token, ("cookie",), HOME)
    took = time.perf_counter() - began
    assert isinstance(answer, Grant)
    assert answer.decision is Decision.ROTATE
    return took * 1000


@dataclass
class Waiting:
    """How long refreshes took, in milliseconds: without a purge, and beside it."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def cells(self) -> list[float]:
        alone, beside = (quantiles(values, n=100)[-1] for values in (self.alone, self.beside))
        return [alone, beside, beside / alone]


def command(size: int, sessions: Iterator[str], waiting: Waiting) -> float:
    """Refresh while the command purges, and while it is held up; return the most memory that it took, in MB."""
    environment = {**os.environ, "DATABASE_URL": url_of(connection.settings_dict)}
    del environment["DJANGO_SETTINGS_MODULE"]
    arguments = [sys.executable, "manage.py", "purge_tokens", f"--batch-size={size}"]
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while True:
        waiting.beside += slice_of(sessions)
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            assert status == 0
            return used.ru_maxrss / 1024
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(SLICE / 2)  # The server finishes the statement that it has begun.
        waiting.alone += slice_of(sessions)
        os.kill(process.pid, signal.SIGCONT)


def slice_of(sessions: Iterator[str]) -> list[float]:
    """Refresh for a moment; return how long each refresh took."""
    end = time.perf_counter() + SLICE
    took = []
    while time.perf_counter() < end:
        took.append(refreshed(sessions))
    return took


def timed(delete: Callable[[], int]) -> tuple[int, float, float]:
    """Return how many rows were deleted, in how many seconds, and in how many of the server's processor."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = psutil.Process(cursor.fetchone()[0])
    used, began = sum(server.cpu_times()[:2]), time.perf_counter()
    deleted = delete()
    return deleted, time.perf_counter() - began, sum(server.cpu_times()[:2]) - used


def run(rows: int, rounds: int, batch_size: int) -> None:
    """Print a line for each round, and one for all. The database is there, and empty."""
    crowd.gather(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    copies = Copies()
    _print("deleted", "DELETE s", "purge s", "ratio", "DELETE cpu", "purge cpu", "ratio", "alone p99", "beside p99",
           "ratio", "MB", "MB idle")  # fmt: skip
    found, all_waiting = [], Waiting()
    for _ in range(rounds):
        copies.renew()
        deleted, *one = timed(one_delete)
        copies.renew()
        purged, *batched = timed(lambda: in_batches(batch_size))
        assert purged >= deleted  # Meanwhile some more are past their retention.
        line = [cell for pair in zip(one, batched, strict=True) for cell in (*pair, pair[1] / pair[0])]
        copies.renew()
        lasting = RefreshToken.objects.live().filter(idle_expires_at__gt=clock("default") + timedelta(days=1))
        sessions = lasting.order_by("?").values_list("id", flat=True).iterator()
        refreshed(sessions)
        waiting = Waiting()
        memory = [command(batch_size, sessions, waiting), command(batch_size, sessions, Waiting())]
        _print(deleted, *line, *waiting.cells(), *memory)
        found.append([*line, *memory])
        all_waiting.alone += waiting.alone
        all_waiting.beside += waiting.beside
    *line, busy, idle = [median(column) for column in zip(*found, strict=True)]
    _print("all", *line, *all_waiting.cells(), busy, idle)
    print(f"{len(all_waiting.alone)} refreshes alone, {len(all_waiting.beside)} beside the purge")  # noqa: T201
    copies.drop()


def _print(*cells: object) -> None:
    print("".join(f"{cell:>12.3f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="sessions in the table; default: 500,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=DEFAULT_BATCH, help=f"default: {DEFAULT_BATCH}")
    databases = Databases("_purge")
    try:
        databases.use("postgresql")
        run(**vars(parser.parse_args()))
    finally:
        databases.destroy()


if __name__ == "__main__":
    main()
