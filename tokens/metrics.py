"""Metrics for Prometheus.

All metrics are in the default registry of the client library, so that a project with an endpoint of its own shows them
too. An authenticated request counts nothing. A refresh costs two updates in memory.

The processes of one machine share their counts through the directory ``PROMETHEUS_MULTIPROC_DIR``. Each machine has
one, and empties it before the server starts. A scrape removes the gauges of processes that have ended.

Clients cannot choose the value of any label.

Without prometheus-client (the extra ``metrics``) nothing is counted, and `IS_AVAILABLE` is False.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING or find_spec("prometheus_client"):
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.metrics_core import GaugeMetricFamily as GaugeMetricFamily
    from prometheus_client.metrics_core import Metric as Metric
    from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
    from prometheus_client.registry import Collector

    IS_AVAILABLE = True
    CONTENT_TYPE = CONTENT_TYPE_LATEST
else:

    class Uncounted:
        """A metric of which nobody asks the value."""

        def __init__(self, *described: Any, **options: Any) -> None:
            pass

        def labels(self, *values: str) -> "Uncounted":
            return self

        def inc(self, amount: float = 1) -> None:
            pass

        def set(self, value: float) -> None:
            pass

        def observe(self, amount: float) -> None:
            pass

    Counter = Gauge = Histogram = GaugeMetricFamily = Metric = Uncounted
    Collector = object
    IS_AVAILABLE = False

P = ParamSpec("P")
T = TypeVar("T")

FAILED: tuple[str, ...] = ("failed", "")
"""The labels of a refresh that failed because the database did not answer."""

EVENTS = Counter("latchkey_security_events", "Security events by kind, also those without a row.", ["kind"])
_REFRESH_BUCKETS = 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
REVOCATIONS = Counter("latchkey_revocations", "Sessions that ended before their time.", ["reason"])
REFRESHES = Counter(
    "latchkey_refreshes", "Refresh tokens presented, by decision, and by cause if refused.", ["outcome", "cause"]
)
BOUND_REFRESHES = Counter(
    "latchkey_bound_refreshes",
    "Refreshes by the key of a device, by outcome, and by cause if refused or challenged.",
    ["outcome", "cause"],
)
BOUND_REFRESH_SECONDS = Histogram(
    "latchkey_bound_refresh_seconds",
    "Duration of a refresh by the key of a device.",
    buckets=_REFRESH_BUCKETS,
)
REGISTRATIONS = Counter(
    "latchkey_device_registrations",
    "Registrations of a device's key, by outcome, and by cause if refused.",
    ["outcome", "cause"],
)
SKIPPED = Counter(
    "latchkey_skipped_refreshes", "Requests whose browser could not refresh a bound session, by reason.", ["reason"]
)
REFRESH_SECONDS = Histogram(
    "latchkey_refresh_seconds",
    "Duration of a refresh by a refresh token.",
    buckets=_REFRESH_BUCKETS,
)
SIGN_IN_SECONDS = Histogram(
    "latchkey_sign_in_seconds",
    "Duration of a sign-in, from the request to its cookies or its refusal.",
    ["outcome"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10),
)
THROTTLED = Counter("latchkey_throttled", "Requests that were throttled, by the rate that was exceeded.", ["rate"])
HASHINGS_REFUSED = Counter(
    "latchkey_hashings_refused", "Passwords that were not hashed because too many were waiting: answered 503."
)
FEED_READS = Counter(
    "latchkey_feed_reads", "Reads of the revocation feed, by who answered: primary, replica or nobody.", ["answered_by"]
)
FEED_LAG_SECONDS = Gauge(
    "latchkey_feed_lag_seconds",
    "Age of a process's revocations when the last read was not answered. 0: it was answered.",
    multiprocess_mode="livemax",
)
FEED_UNREADABLE = Gauge(
    "latchkey_feed_unreadable",
    "Processes whose last read of the revocation feed was not answered.",
    multiprocess_mode="livesum",
)


def start_at_zero(counter: Counter, *labels: tuple[str, ...]) -> None:
    """Create these label values with the count 0. Prometheus would not see an increase from no value to 1."""
    for values in labels:
        counter.labels(*values)


def counted(
    counter: Counter, seconds: Histogram, labels: Callable[[T], tuple[str, ...]]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Count and time the calls of a function. ``labels`` maps its answer to labels. An exception counts as `FAILED`."""

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


def counts(name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yield the labels and the values of a counter, of all processes of this machine that share their counts."""
    if IS_AVAILABLE:
        for metric in _of_all_processes().collect():
            if metric.name == name:
                yield from ((each.labels, each.value) for each in metric.samples if each.name == f"{name}_total")


def shares_counts() -> bool:
    """Return whether the processes of this machine share their counts."""
    return bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))


def exposition(more: Iterable[Metric]) -> bytes:
    """Return the metrics of all processes, and ``more``, in the format `CONTENT_TYPE`."""
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
        pass  # The process belongs to another user, and is alive.
    return True
