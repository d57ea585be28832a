"""How does a peer treat parallel refreshes, lost answers and stolen tokens? ``python -m tests.benchmarks.correctness``.

A process serves each peer that refreshes, over HTTP, on a PostgreSQL that the benchmark starts, with the protocol's
default durations. Hours pass by moving that process's clock. Every session was refreshed an hour before. `Findings`
lists what is examined. The result is a Markdown table.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import count
from threading import Barrier
from typing import Any

from tests.benchmarks.clients import PEERS, Client, Peer, Request, Response
from tests.benchmarks.command import postgres_started
from tests.benchmarks.options import parser, progress
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.clients.projects import ROOT, Server, clean_environment, started

PARALLEL = 10
LATER = 60
"""Seconds after which a client whose answer was lost sends its token again: later than parallel requests do."""
USED = 120
"""Seconds after which an access token is used again: late enough for Latchkey to learn from it."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found about one peer.

    ``succeeded``: of `PARALLEL` refreshes by one token, in each round. ``going_on``: how many of those clients could
    refresh again an hour later. ``chains``: how many different refresh tokens they held then. ``repeated_at_once``,
    ``repeated_later``: whether a client whose answer was lost is signed in after it has sent its token again, and still
    is an hour later. ``replay_refused``: whether an attacker's older token is rejected after the owner has used a newer
    one. ``session_ended``, ``access_ended``: whether the owner's newest refresh token, and the owner's access token,
    which had some minutes left, are rejected after that.
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
    """A process that serves a peer's project, and runs code there."""

    def forward(self, seconds: float) -> None:
        """Move its clock forward."""
        self.do("from tests.benchmarks.projects.populate import forward; forward(seconds)", seconds=seconds)

    def populate(self, users: int) -> None:
        self.do("from tests.benchmarks.projects.populate import populate; populate(users)", users=users)

    def send(self, request: Request, wait: Callable[[], Any] = lambda: None) -> Response:
        """``wait``: called when the connection is open."""
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

    def succeeds(self, client: Client, request: Request) -> bool:
        """Send the client's request, let it take the response, and return whether that is a success."""
        response = self.send(request)
        client.take(response)
        return response.status == 200

    def serves(self, client: Client) -> bool:
        """Return whether a GET of the client is answered as one of a signed-in user."""
        return self.succeeds(client, client.ask())

    def refreshes(self, client: Client) -> bool:
        """Return whether the client can refresh, and is signed in afterwards."""
        return self.succeeds(client, client.refresh()) and self.serves(client)


def examine(peer: Peer, site: Site, rounds: int, progress: Callable[[], Any] = lambda: None) -> Findings:
    """``site`` must have `users` users. ``progress`` is called after each step. There are as many steps as users."""
    clients = _clients(peer, site)
    together = []
    for _ in range(rounds):
        together.append(_refresh_together(site, next(clients)))
        progress()
    repeated = []
    for seconds in (0, LATER):
        repeated.append(_repeat(site, next(clients), seconds))
        progress()
    stolen = _replay(site, next(clients))
    progress()
    return Findings(*zip(*together, strict=True), *repeated, *stolen)


def users(rounds: int) -> int:
    """Return how many users are needed: one for each session."""
    return rounds + 3


def _clients(peer: Peer, site: Site) -> Iterator[Client]:
    """Clients of different users, each refreshed an hour ago."""
    for number in count():
        client = peer.client()
        client.take(site.send(client.sign_in(address(number), PASSWORD)))
        assert site.serves(client), f"{peer.name}: cannot sign in"
        site.forward(HOUR)
        assert site.refreshes(client), f"{peer.name}: cannot refresh"
        site.forward(HOUR)
        yield client


def _refresh_together(site: Site, client: Client) -> tuple[int, int, int]:
    copies = [deepcopy(client) for _ in range(PARALLEL)]
    start = Barrier(PARALLEL)
    with ThreadPoolExecutor(PARALLEL) as pool:
        responses = list(pool.map(lambda copy: site.send(copy.refresh(), start.wait), copies))
    for copy, response in zip(copies, responses, strict=True):
        copy.take(response)
    winners = [copy for copy, response in zip(copies, responses, strict=True) if response.status == 200]
    site.forward(HOUR)
    going_on = [winner for winner in winners if site.refreshes(winner)]
    requests = [winner.refresh() for winner in going_on]
    different = {(request.path, *sorted(request.headers.items()), request.body) for request in requests}
    return len(winners), len(going_on), len(different)


def _repeat(site: Site, client: Client, seconds: float) -> bool:
    site.send(client.refresh())  # The client never receives this answer.
    site.forward(seconds)
    if not site.refreshes(client):
        return False
    site.forward(HOUR)
    return site.refreshes(client)


def _replay(site: Site, owner: Client) -> tuple[bool, bool, bool]:
    attacker = deepcopy(owner)
    assert site.refreshes(owner)
    site.forward(USED)
    assert site.serves(owner)
    refused = not site.refreshes(attacker)
    access_ended = not site.serves(owner)
    return refused, not site.refreshes(owner), access_ended


@contextmanager
def served(peer: Peer, database_url: str) -> Iterator[Site]:
    """Serve a peer's project on a database."""
    command = [sys.executable, "-m", "tests.clients.existing_project.serve"]
    with started(command, ROOT, clean_environment(**peer.environment, DATABASE_URL=database_url)) as process:
        yield Site(process)


def run(rounds: int = 20, peers: Iterable[Peer] = PEERS) -> dict[str, dict[str, Any]]:
    """Return the fields of `Findings` of each peer that refreshes, by its name."""
    peers = [peer for peer in peers if peer.refreshes]
    found = {}
    with postgres_started() as postgres, progress(total=len(peers) * users(rounds), unit=" steps") as bar:
        for number, peer in enumerate(peers):
            bar.set_description(peer.name)
            postgres.ask(f"CREATE DATABASE peer{number}", database="postgres")
            with served(peer, postgres.url(f"peer{number}")) as site:
                site.do("from tests.benchmarks.projects.populate import migrate; migrate()")
                site.populate(users(rounds))
                found[peer.name] = asdict(examine(peer, site, rounds, bar.update))
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the findings as Markdown."""
    signed_in, rejected = {True: "signed in", False: "signed out"}, {True: "rejected", False: "accepted"}
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        f"of {PARALLEL} parallel refreshes succeed": lambda facts: _range(facts["succeeded"]),
        "of these can refresh an hour later": lambda facts: _range(facts["going_on"]),
        "with so many different tokens": lambda facts: _range(facts["chains"]),
        "answer lost, token sent again immediately": lambda facts: signed_in[facts["repeated_at_once"]],
        f"… after {LATER} s": lambda facts: signed_in[facts["repeated_later"]],
        "replay of an old token": lambda facts: rejected[facts["replay_refused"]],
        "then the owner's newest refresh token": lambda facts: rejected[facts["session_ended"]],
        "and access token": lambda facts: rejected[facts["access_ended"]],
    }
    rows = [[name, *(cell(facts) for cell in columns.values())] for name, facts in found.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (["", *columns], ["---"] * (len(columns) + 1), *rows))


def _range(numbers: Sequence[int]) -> str:
    return "–".join(str(number) for number in sorted({min(numbers), max(numbers)}))


def main() -> None:
    given = parser(run, __doc__, rounds="rounds of parallel refreshes").parse_args()
    print(table(run(given.rounds)))  # noqa: T201


if __name__ == "__main__":
    main()
