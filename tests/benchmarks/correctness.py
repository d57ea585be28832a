"""What a peer makes of parallel refreshes, lost answers and stolen tokens: ``python -m tests.benchmarks.correctness``.

Each peer that refreshes is served by a process of its own, over HTTP, on a PostgreSQL of the benchmark's own, with the
protocol's default durations; hours pass by moving that process's clock. Every session has been refreshed before, an
hour ago. What is asked of it is in `Findings`, what is found is printed as a Markdown table, or with ``--json``.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import django
import psycopg
from tqdm import tqdm

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from tests.benchmarks.clients import PEERS  # noqa: E402
from tests.benchmarks.peers import Client, Peer, Request, Response  # noqa: E402
from tests.benchmarks.projects.populate import PASSWORD, address  # noqa: E402
from tests.clients.projects import Server  # noqa: E402
from tests.databases import start_server  # noqa: E402

ROOT = Path(__file__).parents[2]
PARALLEL = 10
LATER = 60
"""Seconds after which a client whose answer was lost asks again: past the time in which requests overlap."""
USED = 120
"""Seconds after which an access token is used again: past the time in which its use proves nothing to Latchkey."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found of one peer.

    ``succeeded``: of `PARALLEL` refreshes by one token, in each round. ``going_on``: how many of those were served an
    hour later, after one refresh more. ``chains``: how many different tokens they held then. ``repeated_at_once``,
    ``repeated_later``: whether a client whose answer was lost is signed in after presenting its token again, and still
    so an hour later. ``replay_refused``: whether a thief's older token is refused, once the owner was seen using what
    came after it; then ``session_ended``: whether the owner's newest refresh token is refused too, and
    ``access_ended``: the owner's access token, which had some minutes left.
    """

    succeeded: Sequence[int]
    going_on: Sequence[int]
    chains: Sequence[int]
    repeated_at_once: bool
    repeated_later: bool
    replay_refused: bool
    session_ended: bool
    access_ended: bool


class Site(Server):
    """A process that serves a peer's project, and does in it what it is told."""

    def forward(self, seconds: float) -> None:
        """Move its clock on."""
        self.do("from tests.benchmarks import clock; clock.forward(seconds)", seconds=seconds)

    def populate(self, users: int) -> None:
        self.do("from tests.benchmarks.projects.populate import populate; populate(users)", users=users)

    def send(self, request: Request, wait: Callable[[], Any] = lambda: None) -> Response:
        """``wait``: for others, once there is a connection."""
        connection = self.connect()
        try:
            connection.connect()
            wait()
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            headers = tuple((name.lower(), value) for name, value in answer.getheaders())
            return Response(answer.status, headers, answer.read())
        finally:
            connection.close()

    def send_together(self, requests: Sequence[Request]) -> list[Response]:
        """Send them all at the same instant."""
        start = Barrier(len(requests))
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(lambda request: self.send(request, start.wait), requests))

    def serves(self, client: Client) -> bool:
        """Whether the client is served as somebody who is signed in."""
        return self._exchange(client, client.ask())

    def refreshes(self, client: Client) -> bool:
        """Whether the client's refresh succeeds, and it is served after it."""
        return self._exchange(client, client.refresh()) and self.serves(client)

    def _exchange(self, client: Client, request: Request) -> bool:
        response = self.send(request)
        client.take(response)
        return response.status == HTTPStatus.OK


def examine(peer: Peer, site: Site, rounds: int, progress: Callable[[], Any] = lambda: None) -> Findings:
    """``site`` has to have `users` users. ``progress`` is called after each step, of which there are as many."""
    newcomers = _newcomers(peer, site)
    together = []
    for _ in range(rounds):
        together.append(_refresh_together(site, next(newcomers)))
        progress()
    succeeded, going_on, chains = zip(*together, strict=True)
    repeated = []
    for seconds in (0, LATER):
        repeated.append(_repeat(site, next(newcomers), seconds))
        progress()
    stolen = _replay(site, next(newcomers))
    progress()
    return Findings(succeeded, going_on, chains, *repeated, *stolen)


def users(rounds: int) -> int:
    """Return how many users are needed: one for each session."""
    return rounds + 3


def _newcomers(peer: Peer, site: Site) -> Iterator[Client]:
    """Clients of different users, who have refreshed an hour ago."""
    for number in count():
        client = peer.client()
        client.take(site.send(client.sign_in(address(number), PASSWORD)))
        assert site.serves(client), f"{peer.name}: nobody can sign in"
        site.forward(HOUR)
        assert site.refreshes(client), f"{peer.name}: nobody can refresh"
        site.forward(HOUR)
        yield client


def _refresh_together(site: Site, client: Client) -> tuple[int, int, int]:
    holders = [deepcopy(client) for _ in range(PARALLEL)]
    responses = site.send_together([holder.refresh() for holder in holders])
    winners = []
    for holder, response in zip(holders, responses, strict=True):
        holder.take(response)
        if response.status == HTTPStatus.OK:
            winners.append(holder)
    site.forward(HOUR)
    going_on = [winner for winner in winners if site.refreshes(winner)]
    return len(winners), len(going_on), _different(winner.refresh() for winner in going_on)


def _different(requests: Iterable[Request]) -> int:
    return len({(request.path, *sorted(request.headers.items()), request.body) for request in requests})


def _repeat(site: Site, client: Client, seconds: float) -> bool:
    site.send(client.refresh())  # Whose answer is lost.
    site.forward(seconds)
    if not site.refreshes(client):
        return False
    site.forward(HOUR)
    return site.refreshes(client)


def _replay(site: Site, owner: Client) -> tuple[bool, bool, bool]:
    thief = deepcopy(owner)
    assert site.refreshes(owner)
    site.forward(USED)
    assert site.serves(owner)
    refused = not site.refreshes(thief)
    access_ended = not site.serves(owner)
    return refused, not site.refreshes(owner), access_ended


@contextmanager
def served(peer: Peer, database_url: str) -> Iterator[Site]:
    """Serve a peer's project, on a database with its tables."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clients.existing_project.serve"],
        cwd=ROOT,
        env=_environment(peer, database_url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Site(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(peer: Peer, database_url: str) -> dict[str, str]:
    # Nothing of this process's own settings, nor of this machine's.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "DJANGO_SETTINGS_MODULE": peer.project, "DATABASE_URL": database_url}


def run(rounds: int, peers: Iterable[Peer] = PEERS) -> dict[str, dict[str, Any]]:
    """Return what was found of each of these that refreshes, by its name, as the fields of `Findings`."""
    peers = [peer for peer in peers if peer.refreshes]
    url, server = start_server()
    found = {}
    try:
        with tqdm(total=len(peers) * users(rounds), unit=" steps", disable=not sys.stderr.isatty()) as bar:
            for number, peer in enumerate(peers):
                bar.set_description(peer.name)
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE peer{number}")
                with served(peer, server.get_uri(f"peer{number}")) as site:
                    site.do("from tests.benchmarks.projects.populate import migrate; migrate()")
                    site.populate(users(rounds))
                    found[peer.name] = asdict(examine(peer, site, rounds, bar.update))
    finally:
        server.cleanup()
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return Markdown."""
    headings = (
        "",
        f"of {PARALLEL} parallel refreshes succeed",
        "of these go on an hour later",
        "with so many tokens",
        "answer lost, token repeated at once",
        f"… after {LATER} s",
        "replay of an old token",
        "then the owner's newest refresh token",
        "and access token",
    )
    rows = [
        (
            name,
            *(_range(facts[field]) for field in ("succeeded", "going_on", "chains")),
            *("signed in" if facts[field] else "signed out" for field in ("repeated_at_once", "repeated_later")),
            "refused" if facts["replay_refused"] else "accepted",
            *("ended" if facts[field] else "good" for field in ("session_ended", "access_ended")),
        )
        for name, facts in found.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows))


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least}" if least == most else f"{least}–{most}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="of parallel refreshes; default: 20")
    parser.add_argument("--json", action="store_true", help="print what was found in each round")
    arguments = parser.parse_args()
    found = run(arguments.rounds)
    print(json.dumps(found, indent=2) if arguments.json else table(found))  # noqa: T201


if __name__ == "__main__":
    main()
