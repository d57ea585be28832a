"""What a run has found. Times are in milliseconds; CPU is for each request, with what else the processes did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Self

from tests.benchmarks.costs import Cost
from tests.benchmarks.floors import Statement
from tests.benchmarks.loading import Slice
from tests.benchmarks.peers import Peer
from tests.benchmarks.sizes import Growth


@dataclass(slots=True)
class Tally:
    """What the slices of a workload add up to, in seconds."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    server_cpu: float = 0.0
    database_cpu: float = 0.0

    def add(self, done: Slice, server_cpu: float, database_cpu: float) -> None:
        self.latencies += done.latencies
        self.seconds += done.seconds
        self.server_cpu += server_cpu
        self.database_cpu += database_cpu


@dataclass(frozen=True, slots=True)
class Workload:
    requests: int
    requests_per_second: float
    p50: float
    p99: float
    server_cpu: float
    database_cpu: float
    statements: float
    round_trips: float

    @classmethod
    def of(cls, tally: Tally, cost: Cost) -> Self:
        count, percentiles = len(tally.latencies), quantiles(tally.latencies, n=100)
        return cls(
            requests=count,
            requests_per_second=count / tally.seconds,
            p50=percentiles[49] * 1000,
            p99=percentiles[98] * 1000,
            server_cpu=tally.server_cpu / count * 1000,
            database_cpu=tally.database_cpu / count * 1000,
            statements=cost.statements,
            round_trips=cost.round_trips,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """``growth``: of the peer's database, by refreshes."""

    name: str
    rotates: bool
    growth: Growth
    ask: Workload
    refresh: Workload | None = None

    @classmethod
    def of(cls, peer: Peer, tallies: Mapping[str, Tally], growth: Growth, costs: Mapping[str, Cost]) -> Self:
        found = {name: Workload.of(tally, costs[name]) for name, tally in tallies.items()}
        return cls(peer.name, peer.rotates, growth, **found)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is done. ``seconds``: of a slice. ``sessions``: of each peer."""

    rounds: int
    seconds: float
    sessions: int
    connections: int


@dataclass(frozen=True, slots=True)
class Results:
    """``bare``, ``rotation``: the floors."""

    machine: dict[str, str | int]
    versions: dict[str, str]
    extent: Extent
    bare: Result
    peers: list[Result]
    rotation: Statement
