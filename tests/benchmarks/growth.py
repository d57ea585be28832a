"""Does the table of sessions grow by refreshes? ``python -m tests.benchmarks.growth``.

Several processes refresh live sessions on a PostgreSQL that the benchmark starts, with autovacuum's default settings.
The order is random, as with browsers, so that neighbours in a page are not refreshed one after the other. Each refresh
is the project's own statement of a rotation, in a transaction of its own. The rest of the refresh is left out: it
writes nothing, and takes most of the time.

After each tenth a line says how large the table and its indexes are, how many rows were updated, how many of the
updates were heap-only (they wrote no index), and how many refreshes a second PostgreSQL has carried out. Further lines
say how large everything was at most, and what has grown in the second half: the first refreshes may fill the free room
in the pages. Before and after all that, some sessions are refreshed by the project's own service, which says how many
refreshes a second the processes can carry out as a whole.
"""

import sys
import time
from random import Random

from django.db import connection
from tqdm import tqdm

from tests.benchmarks.command import run_on_postgresql
from tests.benchmarks.options import progress, ratio
from tests.large_site import gather, token_of
from tests.tokens.service.processes import Process, together, url_of
from tokens.models import RefreshToken

DURATIONS = {"REUSE_GRACE": 1, "ACKNOWLEDGE_AFTER": 2}
"""Seconds after which a session can be rotated again. With the defaults a small benchmark would take hours."""
TENTHS, STEPS = 10, 10
"""The number of lines, and the moves of the progress bar for each line."""
SERVED = 20_000
"""Refreshes by the project's own service, before and after."""
HEAD = ("", "table MB", "index MB", "dead rows", "updates", "heap-only", "autovacuums", "a second")


class Refreshers:
    """Processes, each of which has its share of the sessions. The last `SERVED` sessions are for the service."""

    def __init__(self, count: int) -> None:
        self._processes = [Process(url_of(connection.settings_dict)) for _ in range(count)]
        newest = RefreshToken.objects.order_by("-id").values_list("id", flat=True)
        texts = [token_of(id) for id in newest[:SERVED]]
        Random(0).shuffle(texts)  # noqa: S311
        self._texts = [texts[number::count] for number in range(count)]

    def serve(self) -> float:
        """Let the service refresh each of its sessions once. Return how many it refreshed a second."""
        for process, texts in zip(self._processes, self._texts, strict=True):
            process.prepare("refresh_in_turn", [[texts, len(texts)]], **DURATIONS)
        began = time.perf_counter()
        found = [result for [result] in together(self._processes)]
        took = time.perf_counter() - began
        self._texts = [result["texts"] for result in found]
        return SERVED / took

    def rotate(self, count: int) -> int:
        """Let the processes execute ``count`` rotations. Return how many left the session as it was."""
        size = len(self._processes)
        for number, process in enumerate(self._processes):
            process.prepare("rotate_at_random", [[number, size, SERVED, count // size]], **DURATIONS)
        return sum(left for [left] in together(self._processes))

    def stop(self) -> None:
        for process in self._processes:
            process.stop()


def measured() -> dict[str, int]:
    """Return the bytes and the updates so far, when the server has counted all of them."""
    statement = (
        "SELECT pg_relation_size(relid), pg_indexes_size(relid), n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count"
        " FROM pg_stat_user_tables WHERE relname = %s"
    )
    names = ("table", "index", "dead", "updates", "in place", "autovacuums")
    time.sleep(2)  # A process of the server reports its numbers when it has been idle for a second.
    with connection.cursor() as cursor:
        cursor.execute(statement, [RefreshToken._meta.db_table])
        return dict(zip(names, cursor.fetchone(), strict=True))


def run(refreshes: int = 1_000_000, sessions: int = 500_000, processes: int = 2) -> None:
    """Print a line for each tenth."""
    gather(sessions, live=True)
    refreshers = Refreshers(processes)
    share = refreshes // (TENTHS * STEPS)
    try:
        print(f"The service refreshes {refreshers.serve():.0f} sessions a second.")  # noqa: T201
        before = measured()
        tqdm.write("".join(f"{cell:>13}" for cell in HEAD), file=sys.stdout)
        _print("before", before, before, 0)
        found, left = [], 0
        with progress(total=TENTHS * STEPS * share, unit=" refreshes") as bar:
            for tenth in range(1, TENTHS + 1):
                began = time.perf_counter()
                for _ in range(STEPS):
                    left += refreshers.rotate(share)
                    bar.update(share)
                rate = STEPS * share / (time.perf_counter() - began)
                after = measured()
                _print(f"tenth {tenth}", after, before, rate)
                found.append(after)
                before = after
        peak = {name: max(line[name] for line in found) for name in before}
        sizes = (peak["table"] / 1e6, peak["index"] / 1e6, peak["dead"])
        print("At most the table had {:.1f} MB, its indexes {:.1f} MB, and {} rows were dead.".format(*sizes))  # noqa: T201
        settled, end = found[TENTHS // 2 - 1], found[-1]
        grown = [(end[name] - settled[name]) / settled[name] for name in ("table", "index")]
        print("In the second half the table grew by {:.2%}, and its indexes by {:.2%}.".format(*grown))  # noqa: T201
        print(f"{left} sessions were chosen again too early, and left as they were.")  # noqa: T201
        print(f"The service refreshes {refreshers.serve():.0f} sessions a second.")  # noqa: T201
    finally:
        refreshers.stop()


def _print(name: str, after: dict[str, int], before: dict[str, int], rate: float) -> None:
    updates, in_place = (after[what] - before[what] for what in ("updates", "in place"))
    cells = [name, f"{after['table'] / 1e6:.1f}", f"{after['index'] / 1e6:.1f}", after["dead"], updates]
    cells += [f"{ratio(in_place, updates):.2%}", after["autovacuums"] - before["autovacuums"], f"{rate:.0f}"]
    tqdm.write("".join(f"{cell:>13}" for cell in cells), file=sys.stdout)
    sys.stdout.flush()


if __name__ == "__main__":
    run_on_postgresql(
        run,
        __doc__,
        refreshes="how many",
        sessions="live sessions in the table",
        processes="how many refresh at the same time",
    )
