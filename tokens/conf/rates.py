"""Rates: so many in so long, as ``10/15m``, and which of them are kept to by default.

    10/15m    ten in fifteen minutes
    100/h     a hundred in an hour; ``s``, ``m``, ``h`` and ``d`` are seconds to days

Time slides over a rate: what was counted in the period before counts for as much of it as is not yet over, so nobody
gets twice as much by coming at the right moment. Two numbers are all that has to be kept for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Seconds."""
OFF = "off"
_RATE = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,3})?([smhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """``limit`` in a ``period`` of so many seconds."""

    limit: int
    period: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in UNITS.items() if self.period % seconds == 0)
        number = self.period // UNITS[unit]
        return f"{self.limit}/{number if number > 1 else ''}{unit}"

    def wait(self, before: int, now: int, elapsed: float) -> float:
        """Return for how many seconds there is no room for one more: 0 if there is.

        ``before``, ``now``: how many there were in the period that is over, and in the one that has begun ``elapsed``
        seconds ago.
        """
        room = self.limit - 1 - now
        if room >= 0:
            return max(0.0, self._passed(before, room) - elapsed)
        return self.period - elapsed + self._passed(now, self.limit - 1)

    def _passed(self, before: int, room: int) -> float:
        """How old a period is, in seconds, when what there was ``before`` it counts for no more than ``room``."""
        return self.period * (before - room) / before if before > room else 0.0


def parse(text: Any) -> Rate:
    """Return the rate that is written so. Raises `ValueError`."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no rate")
    return Rate(int(match[1]), int(match[2] or 1) * UNITS[match[3]])


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of everything that is throttled; None: it is not."""

    sign_in_account: Rate | None = Rate(10, 15 * 60)
    sign_in_device: Rate | None = Rate(10, 15 * 60)
    sign_in_network: Rate | None = Rate(100, 10 * 60)
    reset_account: Rate | None = Rate(5, 3600)
    reset_network: Rate | None = Rate(60, 3600)
    register_account: Rate | None = Rate(5, 3600)
    register_network: Rate | None = Rate(60, 3600)
    refresh_session: Rate | None = Rate(300, 60)
    refresh_network: Rate | None = Rate(300, 60)

    def of(self, name: str) -> Rate | None:
        rate: Rate | None = getattr(self, name)
        return rate

    @property
    def are_off(self) -> bool:
        return all(self.of(name) is None for name in NAMES)


NAMES = tuple(item.name for item in fields(Rates))
NO_RATES = Rates(*(None for _ in NAMES))


def read(given: Any) -> Rates:
    """Return the defaults, but for what is ``given``: rates by name, or ``off`` for all. Raises `ValueError`."""
    if given == OFF:
        return NO_RATES
    if not isinstance(given, Mapping):
        raise ValueError('must be rates by name, or "off"')
    if unknown := [name for name in given if name not in NAMES]:
        raise ValueError(f"must be rates by name, and {unknown[0]!r} is none: there are {', '.join(NAMES)}")
    try:
        return replace(Rates(), **{name: None if rate == OFF else parse(rate) for name, rate in given.items()})
    except ValueError as error:
        raise ValueError(f'must be rates such as "10/15m", or "off": {error}') from None


def from_text(text: str) -> Any:
    """Return what `read` is given, from how the environment writes it: ``off``, or ``name=rate, name=off``."""
    if text.lower() == OFF:
        return OFF
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    return {name.strip(): rate.strip() for name, _, rate in pairs}
