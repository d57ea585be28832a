"""A peer at work: its project, served; its database; and clients who have signed in, each with a chain of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, takewhile
from pathlib import Path

from tests.benchmarks.loading import Slice, load, read, written
from tests.benchmarks.peers import Client, Peer, Response
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.benchmarks.servers import STILL_TIME, Granian, Stores, granian, run

REST = max(float(seconds) for seconds in STILL_TIME.values())
"""How many seconds after a refresh a client may refresh again. Latchkey's must wait, so all do."""
ASKING = 5
"""One client in so many only asks: its access token is used many times, as tokens are."""


@dataclass(slots=True)
class _Chain:
    """``rests_until``: on the monotonic clock."""

    client: Client
    rests_until: float = 0.0


class Site:
    """``database``: its name. ``refreshed``: how often clients have refreshed."""

    def __init__(self, peer: Peer, database: str, stores: Stores, sessions: int) -> None:
        self.peer, self.database = peer, database
        self.refreshed = 0
        self._clients = [peer.client() for _ in range(sessions)]
        self._askers = self._clients[: sessions // ASKING]
        self._chains = [_Chain(client) for client in self._clients[sessions // ASKING :]]
        self.stores = stores

    @property
    def workloads(self) -> dict[str, Callable[[Granian, float, int], Slice]]:
        """What can be asked of the clients, by name."""
        return {"ask": self.ask, "refresh": self.refresh} if self.peer.refreshes else {"ask": self.ask}

    def populate(self) -> None:
        """Make the database, its tables, and a user for each client."""
        self.stores.postgres.create(self.database)
        run("tests.benchmarks.projects.populate", str(len(self._clients)), **self._environment())

    @contextmanager
    def served(self, folder: Path, sockets: Path | None = None) -> Iterator[Granian]:
        """Serve the project. ``sockets``: a folder with those of the database and of Redis, in place of their own."""
        with granian(self._environment(sockets), folder) as server:
            yield server

    def sign_in(self, server: Granian, connections: int) -> None:
        """Let each client sign in, the first one alone: allauth imports some of its modules then, once."""
        for clients, together, start in ((self._clients[:1], 1, 0), (self._clients[1:], connections, 1)):
            requests = [client.sign_in(address(n), PASSWORD) for n, client in enumerate(clients, start)]
            for number, answer in load(server.port, map(written, requests), float("inf"), together).answers:
                response = read(answer)
                assert response.status in {200, 302}, f"{self.peer.name} signs nobody in: {response}"
                clients[number].take(response)

    def ask(self, server: Granian, seconds: float, connections: int) -> Slice:
        """Let those who only ask do so, in turn."""
        requests = [written(client.ask()) for client in self._askers]
        done = load(server.port, cycle(requests), seconds, connections)
        for _, answer in done.answers:
            self._accepted(answer)
        return done

    def refresh(self, server: Granian, seconds: float, connections: int) -> Slice:
        """Let the others refresh, in turn. The slice is shorter if all have."""
        time.sleep(max(0.0, self._chains[0].rests_until - time.monotonic()))
        now = time.monotonic()
        rested = list(takewhile(lambda chain: chain.rests_until <= now, self._chains))
        requests = [written(chain.client.refresh()) for chain in rested]
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
        self._chains = self._chains[count:] + self._chains[:count]
        return done

    def _accepted(self, answer: bytes) -> Response:
        response = read(answer)
        assert response.status == 200, f"{self.peer.name} refuses its client: {response}"
        return response

    def _environment(self, sockets: Path | None = None) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": self.peer.project,
            "DATABASE_URL": self.stores.postgres.url(self.database, sockets),
            "REDIS_URL": f"unix://{(sockets or self.stores.redis.path.parent) / self.stores.redis.path.name}",
            **STILL_TIME,
        }
