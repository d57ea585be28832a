"""Does the table of sessions grow by being refreshed? ``python -m tests.benchmarks.growth``.

Sessions among many others are refreshed by the project's own service, in several processes, on a PostgreSQL of the
benchmark's own: in an order of chance, as browsers come, not one after another of the same page. Autovacuum looks for
work every second, not every minute: in minutes for a day it still has fewer turns than in life. A line for each tenth
says what there is at its end, and how the rows were updated.

The first refreshes fill the room that is left in the pages; they are told apart. After them nothing may grow: the last
line says what did.
"""

import argparse
import os
import sys
import time
from random import Random

import django
from tqdm import tqdm

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.db import connection  # noqa: E402

from tests import crowd  # noqa: E402
from tests.databases import Databases  # noqa: E402
from tests.tokens.service.processes import Process, together, url_of  # noqa: E402
from tokens.models import Device, RefreshToken, Revocation, SecurityEvent  # noqa: E402

TABLE = RefreshToken._meta.db_table
STILL_TIME = {"REUSE_GRACE": 1, "ACKNOWLEDGE_AFTER": 2}
"""Seconds after which a session can be rotated again: so many refreshes of one need not take a day."""
TENTHS, FIRST = 10, 2
"""So many lines; and before them so many as long, that are told apart."""
STEPS = 10
"""Moves of the progress bar for each."""


class Refreshers:
    """Processes that have shared the sessions among them."""

    def __init__(self, count: int, texts: list[str]) -> None:
        self._processes = [Process(url_of(connection.settings_dict)) for _ in range(count)]
        self._texts = [texts[number::count] for number in range(count)]
        self.repeated = 0

    def rotate(self, count: int) -> None:
        """Let each rotate its sessions, in turn, ``count`` times in all."""
        for process, texts in zip(self._processes, self._texts, strict=True):
            process.prepare("refresh_in_turn", [[texts, count]], **STILL_TIME)
        found = [result for [result] in together(self._processes)]
        self._texts = [result["texts"] for result in found]
        self.repeated += sum(result["repeated"] for result in found)

    def stop(self) -> None:
        for process in self._processes:
            process.stop()


def hasten_autovacuum() -> None:
    """Let autovacuum look for work every second."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        cursor.execute("SELECT pg_reload_conf()")


def measured(updates: int = 0) -> dict[str, int]:
    """Rows and bytes that there are, and updates that there were: so many at least, once all have told of theirs."""
    while (found := _measured())["updates"] < updates:
        time.sleep(0.1)
    return found


def _measured() -> dict[str, int]:
    found = {"rows": sum(model.objects.count() for model in (RefreshToken, Device, Revocation, SecurityEvent))}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT pg_relation_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd, autovacuum_count"
            " FROM pg_stat_user_tables WHERE relname = %s",
            [TABLE],
        )
        names = ("table bytes", "index bytes", "updates", "in place", "autovacuums")
        return found | dict(zip(names, cursor.fetchone(), strict=True))


def run(refreshes: int, sessions: int, processes: int) -> None:
    """Print a line for each tenth. The database is there, and empty."""
    hasten_autovacuum()
    crowd.gather(sessions * 20)
    newest = RefreshToken.objects.live().order_by("-id").values_list("id", flat=True)[:sessions]
    texts = [crowd.token_of(id) for id in newest]
    Random(0).shuffle(texts)  # noqa: S311
    refreshers = Refreshers(processes, texts)
    before = settled = measured()
    _print("", *before)
    _print("", *before.values())
    share = refreshes // (TENTHS * STEPS * processes)
    total = (FIRST + TENTHS) * STEPS * processes * share
    try:
        with tqdm(total=total, unit=" refreshes", disable=not sys.stderr.isatty()) as bar:
            for tenth in range(1 - FIRST, TENTHS + 1):
                for _ in range(STEPS):
                    refreshers.rotate(share)
                    bar.update(processes * share)
                after = measured(before["updates"] + STEPS * processes * share)
                changed = {name: after[name] - before[name] for name in ("updates", "in place", "autovacuums")}
                _print(tenth if tenth > 0 else "first", *(after | changed).values())
                before = after
                if tenth == 0:
                    settled = after
    finally:
        refreshers.stop()
    _print("after", *(after[name] - settled[name] for name in after))
    print(f"{refreshers.repeated} more were repeats, which write nothing")  # noqa: T201


def _print(*cells: object) -> None:
    tqdm.write("".join(f"{cell:>13}" for cell in cells), file=sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refreshes", type=int, default=1_000_000, help="after the first; default: 1,000,000")
    parser.add_argument("--sessions", type=int, default=5_000, help="that are refreshed, of 20 times as many")
    parser.add_argument("--processes", type=int, default=2)
    databases = Databases("_growth")
    try:
        databases.use("postgresql")
        run(**vars(parser.parse_args()))
    finally:
        databases.destroy()


if __name__ == "__main__":
    main()
