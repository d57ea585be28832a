"""A peer at work: its project, served; its database; and clients who have signed in, each with a chain of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from tests.benchmarks.loading import Slice, load, read, written
from tests.benchmarks.peers import Peer, Response
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.benchmarks.servers import STILL_TIME, Granian, Postgres, Redis, granian, run

REST = max(float(seconds) for seconds in STILL_TIME.values())
"""How many seconds after a refresh a client may refresh again. Latchkey's must wait, so all do."""


class Site:
    """``database``: its name. ``refreshed``: how often clients have refreshed."""

    def __init__(self, peer: Peer, database: str, postgres: Postgres, redis: Redis, sessions: int) -> None:
        self.peer, self.database = peer, database
        self.refreshed = 0
        self._refreshed_at = 0.0
        self._clients = [peer.client() for _ in range(sessions)]
        self._postgres, self._redis = postgres, redis

    def populate(self) -> None:
        """Make the database, its tables, and a user for each client."""
        self._postgres.create(self.database)
        run("tests.benchmarks.projects.populate", str(len(self._clients)), **self._environment())

    @contextmanager
    def served(self, folder: Path, sockets: Path | None = None) -> Iterator[Granian]:
        """Serve the project. ``sockets``: a folder with those of the database and of Redis, in place of their own."""
        with granian(self._environment(sockets), folder) as server:
            yield server

    def sign_in(self, server: Granian, connections: int) -> None:
        """Let each client sign in."""
        requests = [client.sign_in(address(number), PASSWORD) for number, client in enumerate(self._clients)]
        for number, answer in load(server.port, map(written, requests), float("inf"), connections).answers:
            response = read(answer)
            assert response.status in {200, 302}, f"{self.peer.name} signs nobody in: {response}"
            self._clients[number].take(response)

    def ask(self, server: Granian, seconds: float, connections: int) -> Slice:
        """Let the clients ask, in turn."""
        requests = [written(client.ask()) for client in self._clients]
        done = load(server.port, cycle(requests), seconds, connections)
        for _, answer in done.answers:
            self._accepted(answer)
        return done

    def refresh(self, server: Granian, seconds: float, connections: int) -> Slice:
        """Let the clients refresh, in turn, each once at the most. Whoever had none is the first in the next slice."""
        time.sleep(max(0.0, self._refreshed_at + REST - time.monotonic()))
        requests = [written(client.refresh()) for client in self._clients]
        done = load(server.port, requests, seconds, connections)
        self._refreshed_at = time.monotonic()
        for number, answer in done.answers:
            client = self._clients[number]
            client.take(self._accepted(answer))
            if self.peer.rotates:
                assert written(client.refresh()) != requests[number], f"{self.peer.name} does not rotate"
        count = len(done.answers)
        self.refreshed += count
        self._clients = self._clients[count:] + self._clients[:count]
        return done

    def _accepted(self, answer: bytes) -> Response:
        response = read(answer)
        assert response.status == 200, f"{self.peer.name} refuses its client: {response}"
        return response

    def _environment(self, sockets: Path | None = None) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": self.peer.project,
            "DATABASE_URL": self._postgres.url(self.database, sockets),
            "REDIS_URL": f"unix://{sockets / self._redis.path.name if sockets else self._redis.path}",
            **STILL_TIME,
        }
