"""Metrics for Prometheus: what is counted and timed, and how a scrape reads it.

All are in the client library's own registry, so that a project which has an endpoint of its own shows them there too.
A request that somebody signed in makes counts nothing; a refresh costs two updates in memory.

Processes that serve the same port share their counts through the directory ``PROMETHEUS_MULTIPROC_DIR``, one for each
machine, emptied before the server starts. What a process said of itself goes with it: a scrape looks which are alive.

No label has a value that a client can make up.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import ParamSpec, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

P = ParamSpec("P")
T = TypeVar("T")

CONTENT_TYPE = CONTENT_TYPE_LATEST
FAILED: tuple[str, ...] = ("failed", "")
"""The labels of a refresh that was answered by nobody: its database did not."""

EVENTS = Counter("latchkey_security_events", "Security events, by kind; the rows are in the database.", ["kind"])
_REFRESH_BUCKETS = 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
REVOCATIONS = Counter("latchkey_revocations", "Sessions that ended before their time.", ["reason"])
REFRESHES = Counter(
    "latchkey_refreshes", "Refresh tokens presented, by what was decided, and why refused.", ["outcome", "cause"]
)
BOUND_REFRESHES = Counter(
    "latchkey_bound_refreshes",
    "Refreshes by a device's key, by what was answered, and why refused or challenged.",
    ["outcome", "cause"],
)
BOUND_REFRESH_SECONDS = Histogram(
    "latchkey_bound_refresh_seconds",
    "How long a refresh by a device's key took.",
    buckets=_REFRESH_BUCKETS,
)
REGISTRATIONS = Counter(
    "latchkey_device_registrations",
    "Keys of devices presented, by what was answered, and why refused.",
    ["outcome", "cause"],
)
SKIPPED = Counter(
    "latchkey_skipped_refreshes", "Requests whose browser could not refresh a bound session, by why.", ["reason"]
)
REFRESH_SECONDS = Histogram(
    "latchkey_refresh_seconds",
    "How long a presented refresh token took.",
    buckets=_REFRESH_BUCKETS,
)
SIGN_IN_SECONDS = Histogram(
    "latchkey_sign_in_seconds",
    "How long a sign-in took, from the request to its cookies, or to its refusal.",
    ["outcome"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10),
)
THROTTLED = Counter(
    "latchkey_throttled", "Requests that came too often, by the rate that stood in their way.", ["rate"]
)
HASHINGS_REFUSED = Counter("latchkey_hashings_refused", "Passwords that got no turn to be hashed: answered 503.")
FEED_READS = Counter(
    "latchkey_feed_reads", "Reads of the revocation feed, by who answered: primary, replica, nobody.", ["answered_by"]
)
FEED_LAG_SECONDS = Gauge(
    "latchkey_feed_lag_seconds",
    "How old what a process knows of revocations was, when it last asked and nobody answered; 0: answered.",
    multiprocess_mode="livemax",
)
FEED_UNREADABLE = Gauge(
    "latchkey_feed_unreadable", "Processes whose last read of the feed nobody answered.", multiprocess_mode="livesum"
)


def start_at_zero(counter: Counter, *labels: tuple[str, ...]) -> None:
    """Let these be there before they are first counted: Prometheus takes what comes up with 1 for no increase."""
    for values in labels:
        counter.labels(*values)


def counted(
    counter: Counter, seconds: Histogram, labels: Callable[[T], tuple[str, ...]]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function be counted by the ``labels`` of what it returns (`FAILED` where it raises), and timed."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> T:
            found, began = FAILED, perf_counter()
            try:
                answer = function(*args, **options)
                found = labels(answer)
                return answer
            finally:
                seconds.observe(perf_counter() - began)
                counter.labels(*found).inc()

        return call

    return decorate


def exposition(more: Iterable[Metric]) -> bytes:
    """Return what all processes have counted, and ``more``, as `CONTENT_TYPE`."""
    return generate_latest(_Scrape(more))


class _Scrape(Collector):
    def __init__(self, more: Iterable[Metric]) -> None:
        self._more = more

    def collect(self) -> Iterator[Metric]:
        yield from _of_all_processes().collect()
        yield from self._more


def _of_all_processes() -> Collector:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return REGISTRY
    for path in Path(folder).glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
    return MultiProcessCollector(None)  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Somebody else's, and alive.
    return True
