"""Results as Markdown: a table for each workload, with the ratio to the bare view beside each figure."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from tests.benchmarks.results import Result, Results, Workload

_RATIOS = (
    ("server CPU, ms", "server_cpu"),
    ("requests/s", "requests_per_second"),
    ("p50, ms", "p50"),
    ("p99, ms", "p99"),
)
_ALONE = (("database CPU, ms", "database_cpu"), ("SQL statements", "statements"), ("round trips", "round_trips"))
_GROWTH = (("rows", "rows"), ("bytes", "bytes"))
_MEANING = """\
In brackets: the ratio to the bare view of the same kind, a GET or a POST, with no authentication. CPU is user and
system time for each request: of the server's processes, and of PostgreSQL's and Redis's. Statements and round trips (to
either of the two) are those of one request, the median. Rows and bytes, with indexes, are by how much the database
grows in 1,000 refreshes, in the second half of the run; in the first, pages that are new fill up.

Whoever asks keeps the access token for the whole run, as for the ten minutes of its life. Latchkey's two rows differ in
how they refresh alone: at the endpoint, or by a GET that the middleware refreshes on the way. Where they ask, their
difference is noise."""


def markdown(results: Results) -> str:
    refreshing = [result for result in results.peers if result.refresh]
    parts = [
        _made(results),
        "## A signed-in GET",
        _table(results.bare, results.peers, attrgetter("ask")),
        "## A refresh",
        _table(results.bare, refreshing, attrgetter("refresh"), _GROWTH),
        _below(results),
        _MEANING,
    ]
    return "\n\n".join(parts)


def _made(results: Results) -> str:
    extent = results.extent
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return (
        f"{extent.rounds} rounds, in each {extent.seconds:g} s of every workload for every peer; {extent.sessions}"
        f" sessions of each, {extent.connections} connections. {machine}. {versions}."
    )


def _table(
    bare: Result,
    results: Iterable[Result],
    workload: Callable[[Result], Workload],
    more: Sequence[tuple[str, str]] = (),
) -> str:
    floor = workload(bare)
    titles = [title for title, _ in (*_RATIOS, *_ALONE)] + [f"{title} per 1,000" for title, _ in more]
    lines = [["", *titles], ["---", *("---:" for _ in titles)]]
    for result in (bare, *sorted(results, key=lambda result: workload(result).server_cpu)):
        found = workload(result)
        ratios = [
            f"{_figure(getattr(found, name))} ({getattr(found, name) / getattr(floor, name):.2f})"
            for _, name in _RATIOS
        ]
        alone = [_figure(getattr(found, name)) for _, name in _ALONE]
        lines.append([result.name, *ratios, *alone, *(f"{getattr(result.growth, name):,.0f}" for _, name in more)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _below(results: Results) -> str:
    found = results.rotation
    return (
        f"The rotation as one bare SQL statement, sent by pgbench over as many connections: {found.per_second:,.0f} a"
        f" second, {found.database_cpu:.3f} ms of database CPU each."
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}"
