"""Throttles: counters in Django's cache, which all processes share where that is Redis, Valkey or Memcached.

A `Tally` is what is counted, and of whom::

    throttles.check(Tally("reset_network", "203.0.113.0/24"))    # raises Throttled where there were too many
    throttles.count(Tally("reset_network", "203.0.113.0/24"))

Whoever is refused is not counted, so that a client which knows no patience gets its share of every period. Between
the check and the count others may pass too: a password is counted when it has turned out to be wrong, so at most as
many are tried beyond the limit as are hashed at a time (MAX_HASHINGS).

The cache holds numbers under keyed digests, and nothing of whom they are about. While it cannot be asked nobody is
throttled, for nobody may be kept from signing in by its loss, and it is left alone for `PAUSE`, so that requests do not
queue up for it. How long it may take for an answer is for its own options to say.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil
from time import monotonic, time
from typing import TypeVar

from django.core.cache import cache
from django.utils.crypto import salted_hmac

from tokens import metrics
from tokens.conf import token_settings
from tokens.conf.rates import NAMES, Rate

T = TypeVar("T")
PAUSE = 5.0
"""Seconds for which a cache that did not answer is not asked again."""

logger = logging.getLogger("tokens")
metrics.start_at_zero(metrics.THROTTLED, *((name,) for name in NAMES))


class Throttled(Exception):
    """There was too much of ``name``, one of `tokens.conf.rates.NAMES`: ask again in ``wait`` seconds."""

    def __init__(self, name: str, wait: int) -> None:
        super().__init__(f"{name}, for {wait} s")
        self.name, self.wait = name, wait


@dataclass(frozen=True)
class Tally:
    """What is counted under ``name``, one of `tokens.conf.rates.NAMES`, of ``whom``: an account, a network, …"""

    name: str
    whom: str

    @property
    def rate(self) -> Rate | None:
        return token_settings().throttles.of(self.name)

    @cached_property
    def key(self) -> str:
        return f"tokens.{self.name}.{_digest(self.name, self.whom)}"


def check(*tallies: Tally) -> None:
    """Raise `Throttled` if there is no room for one more in one of these."""
    now = time()
    rated = [(tally, rate) for tally in tallies if (rate := tally.rate)]
    keys = {key for tally, rate in rated for key in _keys(tally, rate, now)}
    found: dict[str, int] = _ask(partial(cache.get_many, keys), {}) if keys else {}
    waits = [(_wait(tally, rate, now, found), tally.name) for tally, rate in rated]
    wait, name = max(waits, default=(0, ""))
    if wait:
        metrics.THROTTLED.labels(name).inc()
        raise Throttled(name, wait)


def count(*tallies: Tally) -> None:
    """Count one more in each of these."""
    for tally in tallies:
        if rate := tally.rate:
            _, key = _keys(tally, rate, time())
            _ask(partial(_add_one, key, 2 * rate.period), None)


def take(*tallies: Tally) -> None:
    """Count one more in each of these, for what is throttled however it ends. Raises `Throttled`."""
    check(*tallies)
    count(*tallies)


def mark(whom: str, seconds: int) -> None:
    """Remember something of somebody for a while."""
    _ask(partial(cache.set, _mark(whom), 1, seconds), None)


def is_marked(whom: str) -> bool:
    """Whether something is remembered of them."""
    return _ask(partial(cache.get, _mark(whom)), None) is not None


def _mark(whom: str) -> str:
    return f"tokens.mark.{_digest('mark', whom)}"


def _digest(*parts: str) -> str:
    return salted_hmac("tokens.service.throttles", json.dumps(parts), algorithm="sha256").hexdigest()


def _add_one(key: str, seconds: int) -> None:
    # It counts until the end of the next period, and nobody adds to it by then: no number is left for ever.
    if not cache.add(key, 1, seconds):
        cache.incr(key)


def _keys(tally: Tally, rate: Rate, now: float) -> tuple[str, str]:
    """Where the numbers are of the period that is over, and of the one that runs."""
    period = int(now // rate.period)
    return f"{tally.key}.{period - 1}", f"{tally.key}.{period}"


def _wait(tally: Tally, rate: Rate, now: float, found: dict[str, int]) -> int:
    before, running = (found.get(key) or 0 for key in _keys(tally, rate, now))
    return ceil(rate.wait(before, running, now % rate.period))


_left_alone_until = 0.0


def _ask(question: Callable[[], T], otherwise: T) -> T:
    """Return what the cache answers, or ``otherwise`` while it cannot be asked."""
    global _left_alone_until
    if monotonic() < _left_alone_until:
        return otherwise
    try:
        return question()
    except Exception as error:  # Whatever a cache, or the way to it, can do wrong: each kind has errors of its own.
        _left_alone_until = monotonic() + PAUSE
        logger.error("throttles are off for %g s, the cache does not answer: %s", PAUSE, type(error).__name__)
        return otherwise


def forget_outage() -> None:
    """Ask the cache again: for tests, in which one process stands for many."""
    global _left_alone_until
    _left_alone_until = 0.0
