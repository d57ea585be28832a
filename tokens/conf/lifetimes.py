"""The setting LIFETIMES: how long sessions last by the level of their methods (``acr``).

    LIFETIMES = "nist"
    LIFETIMES = {"aal1": {"absolute": 2592000}, "aal2": {"absolute": 86400, "idle": 3600, "reopens": True}}

In the environment: ``nist``, or ``aal1=2592000, aal2=86400/3600/reopens``, where the idle lifetime stands after the
first slash.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from tokens.protocol.methods import Levels

MOST = 50 * 365 * 86400
"""The longest lifetime, in seconds."""


class Limits(NamedTuple):
    """How long a session lasts after its methods were proved, and without being used. None: the level does not say.

    ``reopens``: whether a factor reopens a session that was not used for so long.
    """

    absolute: timedelta | None = None
    idle: timedelta | None = None
    reopens: bool = False


Lifetimes = tuple[tuple[str, Limits], ...]
"""The limits by level."""
IdleLimits = tuple[tuple[tuple[frozenset[str], ...], float | None], ...]
"""The sets of methods of each level, the highest first, with its idle limit in seconds. None: it has none."""

Sets = tuple[frozenset[str], ...]
ReopenedSets = tuple[tuple[Sets, Sets], ...]
"""For each level whose idle sessions a factor reopens: the sets of its methods, and those of all higher levels."""

PROFILES: dict[str, Any] = {
    "nist": {
        "aal1": {"absolute": 30 * 86400},
        "aal2": {"absolute": 86400, "idle": 3600, "reopens": True},
        "aal3": {"absolute": 12 * 3600, "idle": 900},
    }
}
"""The profile ``nist`` has the limits of NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3."""


def read(given: Any) -> Lifetimes:
    """Return the limits by level. ``given``: the name of a profile, or seconds by level. Raise `ValueError`."""
    if isinstance(given, str) and given in PROFILES:
        given = PROFILES[given]
    if not isinstance(given, Mapping):
        raise ValueError(f"must be {' or '.join(map(repr, PROFILES))}, or lifetimes by level")
    return tuple((level, _limits(level, of_level)) for level, of_level in given.items())


def from_text(text: str) -> Any:
    """Parse the text of an environment variable for `read`."""
    if text in PROFILES:
        return text
    found: dict[str, dict[str, Any]] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        level, _, lifetimes = item.partition("=")
        named = zip(Limits._fields, lifetimes.split("/", 2), strict=False)
        found[level.strip()] = {name: _value(given.strip()) for name, given in named if given.strip()}
    return found


def limits_of_idle(lifetimes: Lifetimes, levels: Levels) -> IdleLimits:
    """Return the idle limits of the levels, without those below the lowest that has one."""
    idle = {level: limits.idle.total_seconds() for level, limits in lifetimes if limits.idle}
    found = [(sets, idle.get(level)) for level, sets in reversed(levels)]
    while found and found[-1][1] is None:
        found.pop()
    return tuple(found)


def sets_of_reopened(lifetimes: Lifetimes, levels: Levels) -> ReopenedSets:
    """Return the sets of methods of the levels whose idle sessions a factor reopens."""
    reopened = {level for level, limits in lifetimes if limits.reopens}
    found, higher = [], Sets()
    for level, sets in reversed(levels):
        if level in reopened:
            found.append((sets, higher))
        higher += sets
    return tuple(found)


def _limits(level: Any, given: Any) -> Limits:
    if not isinstance(level, str) or not isinstance(given, Mapping) or not given or set(given) - {*Limits._fields}:
        raise ValueError(f"must have 'absolute' or 'idle' in seconds for {level!r}, and perhaps 'reopens'")
    durations = {name: seconds for name, seconds in given.items() if name != "reopens"}
    reopens = given.get("reopens", False)
    if not isinstance(reopens, bool) or (reopens and "idle" not in given):
        raise ValueError(f"must have true or false in 'reopens' for {level!r}, beside 'idle'")
    for seconds in durations.values():
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= MOST:
            raise ValueError(f"must have whole numbers of seconds for {level!r}, at least 1 and no more than {MOST}")
    return Limits(**{name: timedelta(seconds=seconds) for name, seconds in durations.items()}, reopens=reopens)


def _value(text: str) -> Any:
    if text == "reopens":
        return True
    return int(text) if text.isascii() and text.isdecimal() else text
