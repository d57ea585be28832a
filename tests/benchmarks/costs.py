"""What a request costs whatever the machine: statements and round trips, counted one request after the other."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.counting import Counter, counting
from tests.benchmarks.sites import Site

REPEATS = 15
"""The median is each request's: what is done once a second, or for a new connection, is nobody's."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``round_trips``: to the database and to Redis."""

    statements: float
    round_trips: float


def costs(site: Site, folder: Path) -> dict[str, Cost]:
    """Count for each workload, at a server that is started for it. ``folder``: for its log."""
    stores = site.stores
    with ExitStack() as stack:
        sockets = Path(stack.enter_context(TemporaryDirectory(prefix="latchkey-")))
        database = stack.enter_context(counting(sockets / stores.postgres.socket.name, stores.postgres.socket))
        cache = stack.enter_context(counting(sockets / stores.redis.path.name, stores.redis.path, is_postgres=False))
        server = stack.enter_context(site.served(folder, sockets))
        return {name: _cost(partial(work, server, 0, 1), database, cache) for name, work in site.workloads.items()}


def _cost(work: Callable[[], object], database: Counter, cache: Counter) -> Cost:
    statements, round_trips = [], []
    for _ in range(REPEATS):
        before = database.statements, database.round_trips + cache.round_trips
        work()
        statements.append(database.statements - before[0])
        round_trips.append(database.round_trips + cache.round_trips - before[1])
    return Cost(median(statements), median(round_trips))
