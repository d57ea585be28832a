"""Does the table of sessions grow by refreshes? ``python -m tests.benchmarks.growth``.

The project's own service refreshes some sessions among many others, in several processes, on a PostgreSQL that the
benchmark starts. The order is random, as with browsers, so that neighbours in a page are not refreshed one after the
other. Autovacuum looks for work every second instead of every minute: the benchmark takes minutes for as many refreshes
as a site has in a day.

After each tenth a line says how large the tables are, and how many rows were updated. The first refreshes fill the free
room in the pages, and have lines of their own. After them nothing may grow: the last line says what did.
"""

import sys
import time
from datetime import timedelta
from random import Random

from django.db import connection
from tqdm import tqdm

from tests.benchmarks.command import run_on_postgresql
from tests.benchmarks.options import progress
from tests.large_site import gather, token_of
from tests.tokens.service.processes import Process, together, url_of
from tokens.database.transactions import clock
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent

DURATIONS = {"REUSE_GRACE": 1, "ACKNOWLEDGE_AFTER": 2}
"""Seconds after which a session can be rotated again. With the defaults the benchmark would take a day."""
TENTHS, FIRST = 10, 2
"""The number of lines, and the number of lines before them, which are about as many refreshes each."""
STEPS = 10
"""Moves of the progress bar for each line."""


class Refreshers:
    """Processes, each of which refreshes its share of the sessions."""

    def __init__(self, count: int, texts: list[str]) -> None:
        self._processes = [Process(url_of(connection.settings_dict)) for _ in range(count)]
        self._texts = [texts[number::count] for number in range(count)]
        self.repeated = 0

    def rotate(self, count: int) -> None:
        """Let each process rotate its sessions in turn, until it has done so ``count`` times."""
        for process, texts in zip(self._processes, self._texts, strict=True):
            process.prepare("refresh_in_turn", [[texts, count]], **DURATIONS)
        found = [result for [result] in together(self._processes)]
        self._texts = [result["texts"] for result in found]
        self.repeated += sum(result["repeated"] for result in found)

    def stop(self) -> None:
        for process in self._processes:
            process.stop()


def measured(updates: int = 0) -> dict[str, int]:
    """Return the rows, bytes and updates so far. Wait until the server has counted at least so many updates."""
    statement = (
        "SELECT pg_relation_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd, autovacuum_count"
        " FROM pg_stat_user_tables WHERE relname = %s"
    )
    names = ("table bytes", "index bytes", "updates", "in place", "autovacuums")
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute(statement, [RefreshToken._meta.db_table])
            found = dict(zip(names, cursor.fetchone(), strict=True))
        if found["updates"] >= updates:
            rows = sum(model.objects.count() for model in (RefreshToken, Device, Revocation, SecurityEvent))
            return {"rows": rows, **found}
        time.sleep(0.1)


def run(refreshes: int = 1_000_000, sessions: int = 5_000, processes: int = 2) -> None:
    """Print a line for each tenth."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        cursor.execute("SELECT pg_reload_conf()")
    gather(sessions * 20)
    soon = clock("default") + timedelta(days=1)
    lasting = RefreshToken.objects.live().filter(idle_expires_at__gt=soon, expires_at__gt=soon)
    newest = lasting.order_by("-id").values_list("id", flat=True)[:sessions]
    texts = [token_of(id) for id in newest]
    Random(0).shuffle(texts)  # noqa: S311
    refreshers = Refreshers(processes, texts)
    before = settled = measured()
    _print("", *before)
    _print("", *before.values())
    share = refreshes // (TENTHS * STEPS * processes)
    try:
        with progress(total=(FIRST + TENTHS) * STEPS * processes * share, unit=" refreshes") as bar:
            for tenth in range(1 - FIRST, TENTHS + 1):
                for _ in range(STEPS):
                    refreshers.rotate(share)
                    bar.update(processes * share)
                after = measured(before["updates"] + STEPS * processes * share)
                changed = {name: after[name] - before[name] for name in ("updates", "in place", "autovacuums")}
                _print(f"tenth {tenth}" if tenth > 0 else "first", *(after | changed).values())
                before = after
                if tenth == 0:
                    settled = after
    finally:
        refreshers.stop()
    _print("grown by", *(after[name] - settled[name] for name in after))
    print(f"{refreshers.repeated} more refreshes were repeats, which write nothing.")  # noqa: T201


def _print(*cells: object) -> None:
    tqdm.write("".join(f"{cell:>13}" for cell in cells), file=sys.stdout)


if __name__ == "__main__":
    run_on_postgresql(
        run,
        __doc__,
        refreshes="how many, after the first ones",
        sessions="how many are refreshed, of 20 times as many",
        processes="how many refresh at the same time",
    )
