"""Rates, such as ``10/15m``, and the default rate of everything that is throttled.

    10/15m    ten in fifteen minutes
    100/h     a hundred in an hour; the units are ``s``, ``m``, ``h`` and ``d``

A rate applies to a sliding window. The count of the previous period is weighted by the part of it that is still in the
window, so that a client cannot get twice the limit around the end of a period. Only two numbers are stored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
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


def _rate(default: str, doc: str) -> Any:
    return field(default=parse(default), metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of everything that is throttled, and what is counted. None: it is not throttled."""

    sign_in_account: Rate | None = _rate(
        "10/15m",
        "wrong passwords for an account, from all devices together that have no count of their own, whether "
        "the account exists or not",
    )
    sign_in_device: Rate | None = _rate(
        "10/15m",
        "wrong passwords from one of the five devices on which the user signed in last, or from the network "
        "that has just reset the password",
    )
    sign_in_network: Rate | None = _rate(
        "100/10m",
        "wrong passwords from a network, and passwords that were not checked because too many were waiting",
    )
    attempts_account: Rate | None = _rate(
        "60/10m",
        "all attempts to sign in to an account, right or wrong, counted like `sign_in_account`",
    )
    attempts_device: Rate | None = _rate("20/10m", "all attempts, right or wrong, counted like `sign_in_device`")
    attempts_network: Rate | None = _rate("500/10m", "all attempts from a network, right or wrong")
    factor_account: Rate | None = _rate(
        "20/d",
        "answers to the factors of an account (codes, but not passwords), right or wrong, counted like "
        "`sign_in_account`",
    )
    factor_device: Rate | None = _rate(
        "50/d",
        "such answers from a device that is counted for itself, like `sign_in_device`",
    )
    factor_network: Rate | None = _rate("100/10m", "such answers from a network")
    reset_account: Rate | None = _rate(
        "5/h",
        "mails that reset the password of one account; the response does not change",
    )
    reset_network: Rate | None = _rate("60/h", "requests for such mails from a network")
    register_account: Rate | None = _rate("5/h", "mails that confirm one address; the response does not change")
    register_network: Rate | None = _rate("60/h", "requests for such mails from a network")
    refresh_session: Rate | None = _rate(
        "300/m",
        "repeated answers to one session at `/api/auth/refresh`; rotations are not counted",
    )
    refresh_network: Rate | None = _rate("300/m", "rejected refresh tokens from a network at `/api/auth/refresh`")
    events_all: Rate | None = _rate(
        "600/10m",
        "security events of a kind that anybody can cause, from all networks together: failed sign-ins, "
        "requests for registrations, and requests for resets. Further ones are lines in the log, and no rows",
    )

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
