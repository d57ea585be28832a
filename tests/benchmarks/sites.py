"""A peer's project at work, its database, and clients who have signed in, each with its own session."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, takewhile
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.clients import Client, Response
from tests.benchmarks.counting import counting
from tests.benchmarks.loading import Slice, load, read, written
from tests.benchmarks.peers import Peer
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.benchmarks.results import Cost, Size
from tests.benchmarks.servers import DURATIONS, Stores
from tests.scale.cluster import Node

REST = max(float(seconds) for seconds in DURATIONS.values())
"""How many seconds after a refresh a client may refresh again. Latchkey's clients must wait, so all clients do."""
ASKING = 5
"""One client in so many never refreshes, and uses its access token many times."""
REPEATS = 15
"""How often statements are counted. The median leaves out what happens once a second, or for a new connection."""


@dataclass(slots=True)
class _Session:
    """``rests_until``: on the monotonic clock."""

    client: Client
    rests_until: float = 0.0


class Site:
    """``database``: its name. ``refreshed``: how often clients have refreshed."""

    def __init__(self, peer: Peer, database: str, stores: Stores, sessions: int) -> None:
        self.peer, self.database, self.stores = peer, database, stores
        self.refreshed = 0
        self._clients = [peer.client() for _ in range(sessions)]
        self._askers = self._clients[: sessions // ASKING]
        self._sessions = [_Session(client) for client in self._clients[sessions // ASKING :]]

    @property
    def workloads(self) -> dict[str, Callable[[Node, float, int], Slice]]:
        """The workloads of this peer, by name."""
        return {"ask": self.ask, "refresh": self.refresh} if self.peer.refreshes else {"ask": self.ask}

    def populate(self) -> None:
        """Create the database, its tables, and a user for each client."""
        self.stores.postgres.ask(f"CREATE DATABASE {self.database}", database="postgres")
        self.peer.platform.populate(len(self._clients), self._environment())

    @contextmanager
    def served(self, folder: Path, sockets: Path | None = None) -> Iterator[Node]:
        """Serve the project. ``sockets``: a folder with other sockets of PostgreSQL and Redis to use."""
        with self.peer.platform.started(self._environment(sockets), folder) as server:
            yield server

    def together(self, connections: int) -> int:
        """Return how many of these connections the platform can take."""
        return min(connections, self.peer.platform.connections or connections)

    def sign_in(self, server: Node, connections: int) -> None:
        """Let each client sign in. The others wait for the first one, in which allauth imports some modules."""
        for clients, together, start in ((self._clients[:1], 1, 0), (self._clients[1:], connections, 1)):
            requests = [client.sign_in(address(n), PASSWORD) for n, client in enumerate(clients, start)]
            for number, answer in load(server.port, map(written, requests), float("inf"), together).answers:
                response = read(answer)
                assert response.status in {200, 302}, f"{self.peer.name}: a sign-in failed: {response}"
                clients[number].take(response)

    def ask(self, server: Node, seconds: float, connections: int) -> Slice:
        """Let the clients that never refresh send a GET, in turn."""
        requests = [written(client.ask()) for client in self._askers]
        done = load(server.port, cycle(requests), seconds, connections)
        for _, answer in done.answers:
            self._accepted(answer)
        return done

    def refresh(self, server: Node, seconds: float, connections: int) -> Slice:
        """Let the other clients refresh, in turn. The slice is shorter if all have refreshed."""
        time.sleep(max(0.0, self._sessions[0].rests_until - time.monotonic()))
        now = time.monotonic()
        rested = list(takewhile(lambda session: session.rests_until <= now, self._sessions))
        requests = [written(session.client.refresh()) for session in rested]
        done = load(server.port, requests, seconds, connections)
        rests_until = time.monotonic() + REST
        for number, answer in done.answers:
            client = rested[number].client
            client.take(self._accepted(answer))
            if self.peer.rotates:
                assert written(client.refresh()) != requests[number], f"{self.peer.name} does not rotate"
            rested[number].rests_until = rests_until
        count = len(done.answers)
        self.refreshed += count
        self._sessions = self._sessions[count:] + self._sessions[:count]
        return done

    def costs(self, folder: Path) -> dict[str, Cost]:
        """Count the statements and round trips of a request of each workload, one request after the other."""
        with ExitStack() as stack:
            sockets = Path(stack.enter_context(TemporaryDirectory(prefix="latchkey-")))
            postgres, redis = self.stores.postgres.socket, self.stores.redis.path
            database = stack.enter_context(counting(sockets / postgres.name, postgres))
            cache = stack.enter_context(counting(sockets / redis.name, redis, is_postgres=False))
            server = stack.enter_context(self.served(folder, sockets))

            def count(work: Callable[[], object]) -> Cost:
                statements, round_trips = [], []
                for _ in range(REPEATS):
                    before = database.statements, database.round_trips + cache.round_trips
                    work()
                    statements.append(database.statements - before[0])
                    round_trips.append(database.round_trips + cache.round_trips - before[1])
                return Cost(median(statements), median(round_trips))

            return {name: count(partial(work, server, 0, 1)) for name, work in self.workloads.items()}

    def query(self, statement: str) -> int:
        """Return the number that a statement selects in this peer's database; 0 for NULL."""
        return int(self.stores.postgres.ask(statement, database=self.database) or 0)

    def size(self) -> Size:
        """Return the size of all tables, with their indexes."""
        names = "SELECT array_agg(relname::text) FROM pg_stat_user_tables"
        tables = self.stores.postgres.ask(names, database=self.database)
        rows = sum(self.query(f'SELECT count(*) FROM "{name}"') for name in tables)  # noqa: S608
        return Size(rows, self.query("SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"))

    def rotations(self) -> int | None:
        """Return how often sessions were rotated, according to Latchkey's rows; None for another peer."""
        if self.peer.project != "latchkey":
            return None
        return self.query("SELECT sum(generation) FROM tokens_refreshtoken")

    def _accepted(self, answer: bytes) -> Response:
        response = read(answer)
        assert response.status == 200, f"{self.peer.name}: a client was rejected: {response}"
        return response

    def _environment(self, sockets: Path | None = None) -> dict[str, str]:
        postgres, redis = self.stores.postgres, self.stores.redis
        return {
            **self.peer.environment,
            "DATABASE_URL": f"postgresql://postgres@/{self.database}?host={sockets or postgres.folder}",
            "REDIS_URL": f"unix://{(sockets or redis.path.parent) / redis.path.name}",
            **DURATIONS,
        }
