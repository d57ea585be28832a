"""Throttles: counters in Django's cache. All processes share them if the cache is Redis, Valkey or Memcached.

A `Tally` names what is counted, and for whom::

    throttles.check(Tally("reset_network", "203.0.113.0/24"))    # raises Throttled after too many
    throttles.count(Tally("reset_network", "203.0.113.0/24"))

A throttled request is not counted, so that a client that keeps trying still gets its share in every period. Other
requests can pass between the check and the count. A wrong password is counted after it was checked, so at most as many
passwords can be tried beyond the limit as `tokens.hashers` checks at a time.

The cache holds numbers under keyed digests, and no names. If the cache does not answer, nothing is throttled, because
its loss must not keep users from signing in. It is then not asked for `PAUSE` seconds, so that requests do not queue
for it. The timeout of an answer is an option of the cache.

Each tenant has counts of its own, so that nobody can lock out the users of another one.
"""

import json
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from time import monotonic, time
from typing import TypeVar

from django.core.cache import cache
from django.utils.crypto import salted_hmac

from tokens import metrics
from tokens.conf import tenants, token_settings
from tokens.conf.rates import NAMES, Rate
from tokens.service.client import networks

T = TypeVar("T")
LARGER_NETWORK_FACTOR = 4
"""How many networks of 64 bits of IPv6 may together use up the limit of their 48 bits."""
PAUSE = 5.0
"""Seconds for which the cache is not asked again after it did not answer."""

logger = logging.getLogger("tokens")
metrics.start_at_zero(metrics.THROTTLED, *((name,) for name in NAMES))


class Throttled(Exception):
    """The rate ``name`` (one of `tokens.conf.rates.NAMES`) is exceeded for the next ``wait`` seconds."""

    def __init__(self, name: str, wait: int) -> None:
        super().__init__(f"{name}, for {wait} s")
        self.name, self.wait = name, wait


@dataclass(frozen=True)
class Tally:
    """What is counted: the rate ``name`` (one of `tokens.conf.rates.NAMES`), and ``whom``, an account or a network.

    ``times``: by what the limit is multiplied. ``more``: what is added to it.
    """

    name: str
    whom: str
    times: int = 1
    more: int = 0

    @property
    def rate(self) -> Rate | None:
        rate = token_settings().throttles.of(self.name)
        is_changed = rate is not None and (self.times, self.more) != (1, 0)
        return replace(rate, limit=self.times * rate.limit + self.more) if rate and is_changed else rate

    @cached_property
    def key(self) -> str:
        return f"tokens.{self.name}.{_digest(self.name, self.whom)}"


def of_networks(name: str, ip: str | None) -> tuple[Tally, ...]:
    """Return what a client at this address is counted in.

    A network that contains others has `LARGER_NETWORK_FACTOR` times the limit.
    """
    return tuple(
        Tally(name, network, LARGER_NETWORK_FACTOR if place else 1) for place, network in enumerate(networks(ip))
    )


def check(*tallies: Tally) -> None:
    """Raise `Throttled` if one of these would exceed its rate."""
    wait, name = _longest_wait(tallies)
    if wait:
        metrics.THROTTLED.labels(name).inc()
        raise Throttled(name, wait)


def is_exceeded(*tallies: Tally) -> bool:
    """Return whether one of these would exceed its rate."""
    return _longest_wait(tallies)[0] > 0


def count(*tallies: Tally) -> None:
    """Count one more in each of these."""
    for tally in tallies:
        if rate := tally.rate:
            _, key = _keys(tally, rate, time())
            _ask(partial(_add_one, key, 2 * rate.period), None)


def take(*tallies: Tally) -> None:
    """Check these, and count one more in each. Raise `Throttled`."""
    check(*tallies)
    count(*tallies)


def take_exactly(*tallies: Tally) -> None:
    """Do what `take` does. Raise `Throttled` too if too many have passed the check at the same time."""
    take(*tallies)
    check(*(replace(tally, more=tally.more + 1) for tally in tallies))


def mark(whom: str, seconds: int) -> None:
    """Mark ``whom`` for so many seconds, with a number of this mark's own."""
    _ask(partial(cache.set, _mark(whom), secrets.randbits(63), seconds), None)


def is_first(whom: str, seconds: int) -> bool:
    """Return whether nobody has asked this about ``whom`` for so many seconds. False if the cache does not answer."""
    return _ask(partial(cache.add, _mark(whom), 1, seconds), False)


def mark_of(whom: str) -> int | None:
    """Return the number of the mark, or None if ``whom`` is not marked."""
    number: int | None = _ask(partial(cache.get, _mark(whom)), None)
    return number


def _longest_wait(tallies: Iterable[Tally]) -> tuple[int, str]:
    """Return the longest wait in seconds, and the name of its rate. 0 seconds: no rate is exceeded."""
    now = time()
    rated = [(tally, rate) for tally in tallies if (rate := tally.rate)]
    keys = {key for tally, rate in rated for key in _keys(tally, rate, now)}
    found: dict[str, int] = _ask(partial(cache.get_many, keys), {}) if keys else {}
    return max(((_wait(tally, rate, now, found), tally.name) for tally, rate in rated), default=(0, ""))


def _mark(whom: str) -> str:
    return f"tokens.mark.{_digest('mark', whom)}"


def _digest(*parts: str) -> str:
    # The salt stays the same, whatever this module is called. With another one all counts would begin at zero.
    named = (*parts, tenants.current()) if tenants.current() else parts
    return salted_hmac("tokens.throttles", json.dumps(named), algorithm="sha256").hexdigest()


def _add_one(key: str, seconds: int) -> None:
    # A number is needed until the end of the next period. It then expires, because nothing is added any more.
    if cache.add(key, 1, seconds):
        return
    try:
        cache.incr(key)
    except ValueError:  # It has expired since.
        cache.add(key, 1, seconds)


def _keys(tally: Tally, rate: Rate, now: float) -> tuple[str, str]:
    """Return the keys of the numbers of the previous period and of the current one."""
    period = int(now // rate.period)
    return f"{tally.key}.{period - 1}", f"{tally.key}.{period}"


def _wait(tally: Tally, rate: Rate, now: float, found: dict[str, int]) -> int:
    before, running = (found.get(key) or 0 for key in _keys(tally, rate, now))
    return ceil(rate.wait(before, running, now % rate.period))


_cache_retry_at = 0.0


def _ask(question: Callable[[], T], otherwise: T) -> T:
    """Return what the cache answers, or ``otherwise`` if it does not answer."""
    global _cache_retry_at
    if monotonic() < _cache_retry_at:
        return otherwise
    try:
        return question()
    except Exception as error:  # Each kind of cache has errors of its own.
        _cache_retry_at = monotonic() + PAUSE
        logger.error("throttles are off for %g s, because the cache does not answer: %s", PAUSE, type(error).__name__)
        return otherwise


def forget_outage() -> None:
    """Ask the cache again. This is for tests, in which one process stands for many."""
    global _cache_retry_at
    _cache_retry_at = 0.0
