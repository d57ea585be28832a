"""The results as Markdown: a table for each workload, with the ratio to the bare view beside each figure."""

from collections.abc import Sequence
from operator import attrgetter

from tests.benchmarks.results import Result, Results

_WITH_RATIO = {"server CPU, ms": "server_cpu", "requests/s": "requests_per_second", "p50, ms": "p50", "p99, ms": "p99"}
_WITHOUT = {"database CPU, ms": "database_cpu", "SQL statements": "statements", "round trips": "round_trips"}
_MEANING = """\
In brackets: the ratio to the bare view, a GET or a POST without authentication. CPU is user and system time for each
request, of the server's processes, and of PostgreSQL and Redis. Statements and round trips (to either of the two) are
the median of single requests. Rows and bytes, with indexes, are by how much the database grows in 1,000 refreshes. They
are measured in the second half of the run, because new pages fill up in the first.

A client that sends signed-in GETs keeps its access token for the whole run, as it does for the ten minutes of the
token's lifetime. Latchkey's two rows differ only in how they refresh: at the endpoint, or by a GET that the middleware
refreshes. In the first table their difference is noise."""


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
            _table(results.bare, results.peers, "ask"),
            "## A refresh",
            _table(results.bare, [peer for peer in results.peers if peer.refresh], "refresh", ("rows", "bytes")),
            f"The rotation as one bare SQL statement, sent by pgbench over as many connections:"
            f" {rotation.per_second:,.0f} a second, {rotation.database_cpu:.3f} ms of database CPU each.",
            _MEANING,
        ]
    )


def _table(bare: Result, peers: Sequence[Result], workload: str, growth: Sequence[str] = ()) -> str:
    titles = [*_WITH_RATIO, *_WITHOUT, *(f"{name} per 1,000" for name in growth)]
    lines = [["", *titles], ["---", *("---:" for _ in titles)]]
    floor = getattr(bare, workload)
    for peer in (bare, *sorted(peers, key=attrgetter(f"{workload}.server_cpu"))):
        found = getattr(peer, workload)
        cells = [
            f"{_figure(getattr(found, name))} ({getattr(found, name) / getattr(floor, name):.2f})"
            for name in _WITH_RATIO.values()
        ]
        cells += [_figure(getattr(found, name)) for name in _WITHOUT.values()]
        lines.append([peer.name, *cells, *(f"{getattr(peer.growth, name):,.0f}" for name in growth)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}"
