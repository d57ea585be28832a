"""What does a purge cost, and whom does it keep waiting? ``python -m tests.benchmarks.purge``.

Of a large table of sessions a fifth is past its retention. On copies of it, on a PostgreSQL of the benchmark's own:

- one DELETE of these sessions, and one of the devices that have no other, in one transaction; beside it the project's
  purge, which deletes both, in batches;
- refreshes by the project's own service, one after the other, alone and then beside ``manage.py purge_tokens``;
- the most memory that this command takes, where there is much to delete and where there is nothing.

All are taken in turn, so that what else the machine does hits them alike.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import median, quantiles

import django

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


def beside_the_command(size: int, sessions: Iterator[str]) -> tuple[list[float], float]:
    """Refresh while the command purges; return how long the refreshes took, and the command's memory in MB."""
    environment = {**os.environ, "DATABASE_URL": url_of(connection.settings_dict)}
    del environment["DJANGO_SETTINGS_MODULE"]
    command = [sys.executable, "manage.py", "purge_tokens", f"--batch-size={size}"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    took = []
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            assert status == 0
            return took, used.ru_maxrss / 1024
        took.append(refreshed(sessions))


def run(rows: int, rounds: int, batch_size: int) -> None:
    """Print a line for each round, and the medians. The database is there, and empty."""
    crowd.gather(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    copies = Copies()
    _print("deleted", "DELETE s", "purge s", "ratio", "alone p99", "beside p99", "ratio", "MB", "MB idle")
    found = []
    for _ in range(rounds):
        line: list[float] = []
        copies.renew()
        began = time.perf_counter()
        deleted = one_delete()
        line.append(time.perf_counter() - began)
        copies.renew()
        began = time.perf_counter()
        assert in_batches(batch_size) >= deleted  # Meanwhile some more are past their retention.
        line.append(time.perf_counter() - began)
        line.append(line[1] / line[0])
        copies.renew()
        lasting = RefreshToken.objects.live().filter(idle_expires_at__gt=clock("default") + timedelta(days=1))
        sessions = lasting.order_by("?").values_list("id", flat=True).iterator()
        refreshed(sessions)
        beside, memory = beside_the_command(batch_size, sessions)
        alone = [refreshed(sessions) for _ in beside]
        _, idle = beside_the_command(batch_size, sessions)
        line += [p99(alone), p99(beside), p99(beside) / p99(alone), memory, idle]
        _print(deleted, *line)
        found.append(line)
    _print("median", *[median(column) for column in zip(*found, strict=True)])
    copies.drop()


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[-1]


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
