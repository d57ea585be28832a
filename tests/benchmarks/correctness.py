"""How does a peer treat parallel refreshes, lost answers, stolen tokens and revocations?

``python -m tests.benchmarks.correctness`` serves each peer over HTTP, on a PostgreSQL that it starts, with the
protocol's default durations. Hours pass by moving the clock of the peer's process. Every session was refreshed an hour
before. `Findings` lists what is examined. The result is a Markdown table.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import count
from threading import Barrier
from typing import Any

from tests.benchmarks.clients import Client
from tests.benchmarks.options import parser, progress
from tests.benchmarks.peers import PEERS, Peer, missing
from tests.benchmarks.platforms import Examined
from tests.benchmarks.projects.populate import PASSWORD, address
from tests.benchmarks.servers import stores_started

PARALLEL = 10
LATER = 60
"""Seconds after which a client whose answer was lost sends its token again: later than parallel requests do."""
USED = 120
"""Seconds after which an access token is used again: late enough for Latchkey to learn from it."""
HOUR = 3600
REVOKED = (0, 1, 2, *range(60, 16 * 60, 60))
"""How many seconds after a sign-out a copy of the access token is tested."""
WAITED = 2
"""The first seconds really pass. Latchkey reads its revocations by a monotonic clock, which is not moved."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found about one peer. All but ``revoked_after`` is None for a peer that does not refresh.

    ``succeeded``: of `PARALLEL` refreshes by one token, in each round. ``going_on``: how many of those clients could
    refresh again an hour later. ``chains``: how many different refresh tokens they held then. ``repeated_at_once``,
    ``repeated_later``: whether a client whose answer was lost is signed in after it has sent its token again, and still
    is an hour later. ``replay_refused``: whether an attacker's older token is rejected after the owner has used a newer
    one. ``session_ended``, ``access_ended``: whether the owner's newest refresh token, and the owner's access token,
    which had some minutes left, are rejected after that. ``revoked_after``: which of `REVOKED` was the first at which
    an attacker's copy of an access token was rejected by another process than the one at which its owner signed out;
    None if it was accepted at the last one, or if its refresh token still is.
    """

    revoked_after: float | None
    succeeded: Sequence[int] | None = None
    going_on: Sequence[int] | None = None
    chains: Sequence[int] | None = None
    repeated_at_once: bool | None = None
    repeated_later: bool | None = None
    replay_refused: bool | None = None
    session_ended: bool | None = None
    access_ended: bool | None = None


def examine(
    peer: Peer, site: Examined, other: Examined, rounds: int, progress: Callable[[], Any] = lambda: None
) -> Findings:
    """``site`` and ``other``: two processes of the peer, on a database with `users`.

    ``progress`` is called after each step. There are as many steps as users.
    """
    revoked_after = _revoke(peer, site, other)
    progress()
    if not peer.refreshes:
        return Findings(revoked_after)
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
    return Findings(revoked_after, *zip(*together, strict=True), *repeated, *stolen)


def users(peer: Peer, rounds: int) -> int:
    """Return how many users are needed: one for each session."""
    return rounds + 4 if peer.refreshes else 1


def _signed_in(peer: Peer, site: Examined, number: int) -> Client:
    client = peer.client()
    client.take(site.send(client.sign_in(address(number), PASSWORD)))
    assert site.serves(client), f"{peer.name}: cannot sign in"
    return client


def _revoke(peer: Peer, site: Examined, other: Examined) -> float | None:
    other.forward(1)  # Its clock must not be behind, even by a moment: then it would not yet accept the new token.
    client = _signed_in(peer, site, 0)
    stolen = deepcopy(client)
    assert other.serves(stolen), f"{peer.name}: another process rejects an access token"
    access = stolen.ask()
    status = site.send(client.sign_out()).status
    assert status < 400 or status == 401, f"{peer.name}: cannot sign out: {status}"  # allauth answers 401.
    before = 0
    for after in REVOKED:
        time.sleep(min(after, WAITED) - min(before, WAITED))
        other.forward(max(after, WAITED) - max(before, WAITED))
        before = after
        if other.send(access).status != 200:
            return None if peer.refreshes and other.refreshes(stolen) else after
    return None


def _clients(peer: Peer, site: Examined) -> Iterator[Client]:
    """Clients of different users, each refreshed an hour ago."""
    for number in count(1):
        client = _signed_in(peer, site, number)
        site.forward(HOUR)
        assert site.refreshes(client), f"{peer.name}: cannot refresh"
        site.forward(HOUR)
        yield client


def _refresh_together(site: Examined, client: Client) -> tuple[int, int, int]:
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


def _repeat(site: Examined, client: Client, seconds: float) -> bool:
    site.send(client.refresh())  # The client never receives this answer.
    site.forward(seconds)
    if not site.refreshes(client):
        return False
    site.forward(HOUR)
    return site.refreshes(client)


def _replay(site: Examined, owner: Client) -> tuple[bool, bool, bool]:
    attacker = deepcopy(owner)
    assert site.refreshes(owner)
    site.forward(USED)
    assert site.serves(owner)
    refused = not site.refreshes(attacker)
    access_ended = not site.serves(owner)
    return refused, not site.refreshes(owner), access_ended


def run(rounds: int = 20, peers: Sequence[Peer] = PEERS) -> dict[str, dict[str, Any]]:
    """Return the fields of `Findings` of each peer, by its name."""
    found = {}
    steps = sum(users(peer, rounds) for peer in peers)
    with stores_started() as stores, progress(total=steps, unit=" steps") as bar:
        for number, peer in enumerate(peers):
            bar.set_description(peer.name)
            stores.postgres.ask(f"CREATE DATABASE peer{number}", database="postgres")
            url = stores.postgres.url(f"peer{number}")
            environment = {**peer.environment, "DATABASE_URL": url, "REDIS_URL": f"unix://{stores.redis.path}"}
            peer.platform.populate(users(peer, rounds), environment)
            with ExitStack() as stack:
                site, other = (stack.enter_context(peer.platform.examined(environment)) for _ in range(2))
                found[peer.name] = asdict(examine(peer, site, other, rounds, bar.update))
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the findings as Markdown."""
    signed_in, rejected = {True: "signed in", False: "signed out"}, {True: "rejected", False: "accepted"}
    columns: dict[str, tuple[str, Callable[[Any], str]]] = {
        f"of {PARALLEL} parallel refreshes succeed": ("succeeded", _range),
        "of these can refresh an hour later": ("going_on", _range),
        "with so many different tokens": ("chains", _range),
        "answer lost, token sent again immediately": ("repeated_at_once", signed_in.__getitem__),
        f"… after {LATER} s": ("repeated_later", signed_in.__getitem__),
        "replay of an old token": ("replay_refused", rejected.__getitem__),
        "then the owner's newest refresh token": ("session_ended", rejected.__getitem__),
        "and access token": ("access_ended", rejected.__getitem__),
    }
    rows = [
        [name, *("–" if facts[key] is None else cell(facts[key]) for key, cell in columns.values()), _delay(facts)]
        for name, facts in found.items()
    ]
    titles = ["", *columns, "after the owner's sign-out, a stolen access token is rejected"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows))


def _range(numbers: Sequence[int]) -> str:
    return "–".join(str(number) for number in sorted({min(numbers), max(numbers)}))


def _delay(facts: dict[str, Any]) -> str:
    """Return when a revocation was noticed. It may have been up to a step of `REVOKED` earlier."""
    match facts["revoked_after"]:
        case None:
            return "never"
        case 0:
            return "at once"
        case seconds if seconds < 60:
            return f"within {seconds} s"
        case seconds:
            return f"within {seconds // 60} min"


def main() -> None:
    options = parser(run, __doc__, rounds="rounds of parallel refreshes")
    given = options.parse_args()
    if absent := missing(PEERS):
        options.error(absent)
    print(table(run(given.rounds)))  # noqa: T201


if __name__ == "__main__":
    main()
