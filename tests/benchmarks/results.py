"""What a run has measured. Times are in milliseconds. CPU time is per request, with whatever else it did."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import NamedTuple, Self

from tests.benchmarks.loading import Slice


class Cost(NamedTuple):
    """What a request costs on any machine. ``round_trips``: to the database and to Redis."""

    statements: float
    round_trips: float


class Turn(NamedTuple):
    """A slice of load, and the seconds of CPU that the server and the database used meanwhile."""

    slice: Slice
    server_cpu: float
    database_cpu: float


@dataclass(frozen=True, slots=True)
class Size:
    """The rows and bytes of all tables of a database, or by how much they grow in 1,000 refreshes."""

    rows: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Statement:
    """The rotation as one SQL statement. ``database_cpu``: milliseconds for each."""

    per_second: float
    database_cpu: float


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
    def of(cls, turns: Sequence[Turn], cost: Cost) -> Self:
        latencies = [seconds for turn in turns for seconds in turn.slice.latencies]
        count, percentiles = len(latencies), quantiles(latencies, n=100)
        rate = count / sum(turn.slice.seconds for turn in turns)
        server, database = (sum(column) / count * 1000 for column in list(zip(*turns, strict=True))[1:])
        return cls(count, rate, percentiles[49] * 1000, percentiles[98] * 1000, server, database, *cost)


@dataclass(frozen=True, slots=True)
class Result:
    """``growth``: of the peer's database, in 1,000 refreshes. ``bare``: the name of what it is compared with."""

    name: str
    bare: str
    rotates: bool
    growth: Size
    ask: Workload
    refresh: Workload | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. ``seconds``: of a slice. ``sessions``: of each peer."""

    rounds: int
    seconds: float
    sessions: int
    connections: int


@dataclass(frozen=True, slots=True)
class Results:
    """``bares``: what no peer on the same platform can be faster than. ``rotation``: the same for our refresh."""

    machine: dict[str, str | int]
    versions: dict[str, str]
    extent: Extent
    bares: list[Result]
    peers: list[Result]
    rotation: Statement

    def ratio(self, mine: Result, workload: str, figure: str) -> float:
        """Return a figure of a peer's workload, in multiples of its bare handler's."""
        [bare] = (bare for bare in self.bares if bare.name == mine.bare)
        found: float = getattr(getattr(mine, workload), figure) / getattr(getattr(bare, workload), figure)
        return found
