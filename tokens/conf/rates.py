"""Rates, such as ``10/15m``, and the default rate of everything that is throttled.

    10/15m    ten in fifteen minutes
    100/h     a hundred in an hour; the units are ``s``, ``m``, ``h`` and ``d``

A rate applies to a sliding window. The count of the previous period is weighted by the part of it that is still in the
window, so that a client cannot get twice the limit around the end of a period. Only two numbers are stored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""The units in seconds."""
OFF = "off"
_RATE = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,3})?([smhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` in ``period`` seconds."""

    limit: int
    period: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in UNITS.items() if self.period % seconds == 0)
        number = self.period // UNITS[unit]
        return f"{self.limit}/{number if number > 1 else ''}{unit}"

    def wait(self, before: int, now: int, elapsed: float) -> float:
        """Return for how many seconds the rate is exceeded, or 0.

        ``before`` and ``now`` are the counts of the previous and the current period. The current one began ``elapsed``
        seconds ago.
        """
        room = self.limit - 1 - now
        if room >= 0:
            return max(0.0, self._passed(before, room) - elapsed)
        return self.period - elapsed + self._passed(now, self.limit - 1)

    def _passed(self, before: int, room: int) -> float:
        """Return after how many seconds of a period the previous count ``before`` weighs no more than ``room``."""
        return self.period * (before - room) / before if before > room else 0.0


def parse(text: Any) -> Rate:
    """Return the rate that a text describes. Raise `ValueError`."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a rate")
    return Rate(int(match[1]), int(match[2] or 1) * UNITS[match[3]])


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of everything that is throttled. None: it is not throttled."""

    sign_in_account: Rate | None = Rate(10, 15 * 60)
    sign_in_device: Rate | None = Rate(10, 15 * 60)
    sign_in_network: Rate | None = Rate(100, 10 * 60)
    attempts_account: Rate | None = Rate(60, 10 * 60)
    attempts_device: Rate | None = Rate(20, 10 * 60)
    attempts_network: Rate | None = Rate(500, 10 * 60)
    factor_account: Rate | None = Rate(20, 86400)
    factor_device: Rate | None = Rate(50, 86400)
    factor_network: Rate | None = Rate(100, 10 * 60)
    reset_account: Rate | None = Rate(5, 3600)
    reset_network: Rate | None = Rate(60, 3600)
    register_account: Rate | None = Rate(5, 3600)
    register_network: Rate | None = Rate(60, 3600)
    refresh_session: Rate | None = Rate(300, 60)
    refresh_network: Rate | None = Rate(300, 60)
    events_all: Rate | None = Rate(600, 10 * 60)

    def of(self, name: str) -> Rate | None:
        rate: Rate | None = getattr(self, name)
        return rate

    @property
    def are_off(self) -> bool:
        return all(self.of(name) is None for name in NAMES)


NAMES = tuple(item.name for item in fields(Rates))
NO_RATES = Rates(*(None for _ in NAMES))


def read(given: Any) -> Rates:
    """Return the default rates, changed by ``given``: rates by name, or ``off`` for all. Raise `ValueError`."""
    if given == OFF:
        return NO_RATES
    if not isinstance(given, Mapping):
        raise ValueError('must be rates by name, or "off"')
    if unknown := [name for name in given if name not in NAMES]:
        raise ValueError(f"must be rates by name, and {unknown[0]!r} is not one of {', '.join(NAMES)}")
    try:
        return replace(Rates(), **{name: None if rate == OFF else parse(rate) for name, rate in given.items()})
    except ValueError as error:
        raise ValueError(f'must be rates such as "10/15m", or "off": {error}') from None


def from_text(text: str) -> Any:
    """Parse the text of an environment variable for `read`: ``off``, or ``name=rate, name=off``."""
    if text.lower() == OFF:
        return OFF
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    return {name.strip(): rate.strip() for name, _, rate in pairs}
