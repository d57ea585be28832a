"""What does a purge cost, and how long does it make refreshes wait? ``python -m tests.benchmarks.purge``.

In a large table of sessions, a fifth is past its retention. The benchmark takes copies of it, on a PostgreSQL that it
starts itself, and measures:

- one DELETE of these sessions and of the devices that have no other, in one transaction, and beside it the project's
  purge, which deletes both in batches: the seconds that each takes, and the CPU seconds of its connection's server
  process;
- how long refreshes by the project's own service take while ``manage.py purge_tokens`` runs, and while it is stopped
  for a moment;
- the most memory that this command takes, when there is much to delete and when there is nothing.

They take turns, so that other load on the machine affects them alike. Refreshes are given as the 99th percentile, in
milliseconds. The last line is about all rounds: it has the medians, and the 99th percentile of all refreshes.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median, quantiles

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from tests.benchmarks.command import cpu, run_on_postgresql, server_process
from tests.benchmarks.options import ratio
from tests.large_site import gather, token_of
from tests.tokens.service.processes import ROOT, url_of
from tokens.database.transactions import clock
from tokens.management.commands.purge_tokens import DEFAULT_BATCH
from tokens.models import Device, RefreshToken
from tokens.protocol.rotation import Decision
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.purge import purges
from tokens.service.refreshing import refresh

CLIENT = Client("192.0.2.7", "Firefox")
SLICE = 0.2
"""Seconds for which refreshes run beside the purge, or without it, before the other has its turn."""
COLUMNS = ("deleted", "DELETE s", "purge s", "ratio", "DELETE CPU", "purge CPU", "ratio")
COLUMNS += ("ms without", "ms beside", "ratio", "MB busy", "MB idle")


@contextmanager
def copy_of_the_database() -> Iterator[None]:
    """Within, ``default`` is a copy of the database, of which the server has written everything to disk."""
    original = connection.settings_dict["NAME"]
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{original}_copy" TEMPLATE "{original}" STRATEGY file_copy')
        cursor.execute("CHECKPOINT")
    connection.settings_dict["NAME"] = f"{original}_copy"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{original}_copy"')


def one_delete() -> int:
    """Delete as an operator at a prompt would. Return the number of sessions."""
    sessions = purges()[0].rows
    with transaction.atomic():
        deleted: int = sessions._raw_delete(sessions.db)
        devices = Device.objects.filter(~Exists(RefreshToken.objects.filter(device=OuterRef("pk"))))
        devices._raw_delete(devices.db)
    return deleted


def timed(delete: Callable[[], int]) -> tuple[int, float, float]:
    """Return how many rows were deleted, and the seconds and the CPU seconds of the server that it took."""
    server = server_process()
    used, began = cpu(server), time.perf_counter()
    deleted = delete()
    return deleted, time.perf_counter() - began, cpu(server) - used


def refreshed(sessions: Iterator[str]) -> float:
    """Rotate the next session. Return how many milliseconds it took."""
    token = token_of(next(sessions))
    began = time.perf_counter()
    answer = refresh(token, ("cookie",), CLIENT)
    took = time.perf_counter() - began
    assert isinstance(answer, IssuedTokens)
    assert answer.decision is Decision.ROTATE
    return took * 1000


def refreshed_for_a_slice(sessions: Iterator[str]) -> list[float]:
    """Refresh for `SLICE` seconds. Return how many milliseconds each refresh took."""
    end, took = time.perf_counter() + SLICE, []
    while time.perf_counter() < end:
        took.append(refreshed(sessions))
    return took


def refreshed_beside_the_command(
    size: int, sessions: Iterator[str], without: list[float], beside: list[float]
) -> float:
    """Refresh while the command purges, and while it is stopped. Return the most memory that it took, in MB.

    The milliseconds of each refresh are added to ``beside`` and ``without``.
    """
    environment = {**os.environ, "DATABASE_URL": url_of(connection.settings_dict)}
    del environment["DJANGO_SETTINGS_MODULE"]
    command = [sys.executable, "manage.py", "purge_tokens", f"--batch-size={size}"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while True:
        beside += refreshed_for_a_slice(sessions)
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            assert status == 0
            return used.ru_maxrss / 1024
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(SLICE / 2)  # The server finishes the statement that it has begun.
        without += refreshed_for_a_slice(sessions)
        os.kill(process.pid, signal.SIGCONT)


def percentiles(without: list[float], beside: list[float]) -> list[float]:
    """Return the 99th percentiles of both, and their ratio."""
    first, second = (quantiles(values, n=100)[-1] for values in (without, beside))
    return [first, second, ratio(second, first)]


def run(rows: int = 500_000, rounds: int = 3, batch_size: int = DEFAULT_BATCH) -> None:
    """Print a line for each round, and one for all."""
    gather(rows)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    _print(*COLUMNS)
    found, all_without, all_beside = [], [], []
    for _ in range(rounds):
        with copy_of_the_database():
            deleted, *one = timed(one_delete)
        with copy_of_the_database():
            purged, *batched = timed(lambda: sum(count for purge in purges() for count in purge.batches(batch_size)))
        assert purged >= deleted  # Meanwhile some more are past their retention.
        pairs = zip(one, batched, strict=True)
        line = [cell for first, second in pairs for cell in (first, second, ratio(second, first))]
        without: list[float] = []
        beside: list[float] = []
        with copy_of_the_database():
            lasting = RefreshToken.objects.live().filter(idle_expires_at__gt=clock("default") + timedelta(days=1))
            sessions = lasting.order_by("?").values_list("id", flat=True).iterator()
            refreshed(sessions)
            busy = refreshed_beside_the_command(batch_size, sessions, without, beside)
            idle = refreshed_beside_the_command(batch_size, sessions, [], [])
        _print(deleted, *line, *percentiles(without, beside), busy, idle)
        found.append([*line, busy, idle])
        all_without += without
        all_beside += beside
    *line, busy, idle = [median(column) for column in zip(*found, strict=True)]
    _print("all", *line, *percentiles(all_without, all_beside), busy, idle)
    print(f"{len(all_without)} refreshes ran without the purge, and {len(all_beside)} beside it.")  # noqa: T201


def _print(*cells: object) -> None:
    print("".join(f"{cell:>12.3f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells), flush=True)  # noqa: T201


if __name__ == "__main__":
    texts = {"rows": "sessions in the table", "rounds": "how often all is measured", "batch_size": "rows in a batch"}
    run_on_postgresql(run, __doc__, **texts)
