"""The results as Markdown: a table for each workload, with the ratio to the bare handler beside each figure."""

from collections.abc import Sequence
from operator import attrgetter

from tests.benchmarks.results import Results

_WITH_RATIO = {"server CPU, ms": "server_cpu", "requests/s": "requests_per_second", "p50, ms": "p50", "p99, ms": "p99"}
_WITHOUT = {"database CPU, ms": "database_cpu", "SQL statements": "statements", "round trips": "round_trips"}
_MEANING = """\
CPU is user and system time for each request, as the operating system reports it: of the server's processes, and of
PostgreSQL and Redis. In brackets: the ratio to the bare handler on the same platform, which answers a GET or a POST
without authentication. Ratios of different platforms have different units: compare these by their CPU. Statements and
round trips (to PostgreSQL or Redis) are the median of single requests. Rows and bytes, with indexes, are by how much
the database grows in 1,000 refreshes. They are measured in the second half of the run, because new pages fill up in the
first.

Each server is one process. Django has eight threads and at most ten connections to PostgreSQL. Better Auth has one
thread for JavaScript, and at most ten connections too. Glewlwyd has a thread for each client, and one connection for
all threads. When two of them insert rows, one may get the number of the other's row, and then a request fails. So
Glewlwyd gets one request after the other here. Its CPU can be compared with that of the others, but not its rates and
latencies.

A client that sends signed-in GETs keeps its access token for the whole run, as it does for the ten minutes of the
token's lifetime. Latchkey's two rows differ only in how they refresh: at the endpoint, or by a GET that the middleware
refreshes. In the first table their difference is noise.

Better Auth has no refresh tokens. Its cookie cache is what comes nearest to an access token: a signed cookie, here with
a lifetime of ten minutes too. What is measured as its refresh is the next GET after that. It reads the session from the
database and renews the cookie. It replaces no token, and it writes nothing, because by default Better Auth prolongs a
session once a day. Without the cache every GET reads the session.

Glewlwyd is a server of its own, for OAuth 2.0 and OpenID Connect. Its signed-in GET is the OpenID endpoint `userinfo`,
which looks up the access token, the user and the user's data in the database. An application that only verifies the
signature of access tokens does not send this request. Its bare row is a GET in both tables."""


def markdown(results: Results) -> str:
    extent, rotation = results.extent, results.rotation
    machine, versions = (
        ", ".join(f"{name} {value}" for name, value in facts.items()) for facts in (results.machine, results.versions)
    )
    return "\n\n".join(
        [
            f"{extent.rounds} rounds, with {extent.seconds:g} s of every workload for every peer in each;"
            f" {extent.sessions} sessions of each peer, {extent.connections} connections. {machine}. {versions}.",
            "## A signed-in GET",
            _table(results, "ask"),
            "## A refresh",
            _table(results, "refresh", ("rows", "bytes")),
            f"The rotation as one bare SQL statement, sent by pgbench over as many connections:"
            f" {rotation.per_second:,.0f} a second, {rotation.database_cpu:.3f} ms of database CPU each.",
            _MEANING,
        ]
    )


def _table(results: Results, workload: str, growth: Sequence[str] = ()) -> str:
    titles = [*_WITH_RATIO, *_WITHOUT, *(f"{name} per 1,000" for name in growth)]
    lines = [["", *titles], ["---", *("---:" for _ in titles)]]
    peers = [peer for peer in results.peers if getattr(peer, workload)]
    for peer in (*results.bares, *sorted(peers, key=attrgetter(f"{workload}.server_cpu"))):
        found = getattr(peer, workload)
        cells = [
            f"{_figure(getattr(found, name))} ({results.ratio(peer, workload, name):.2f})"
            for name in _WITH_RATIO.values()
        ]
        cells += [_figure(getattr(found, name)) for name in _WITHOUT.values()]
        lines.append([peer.name, *cells, *(f"{getattr(peer.growth, name):,.0f}" for name in growth)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}"
