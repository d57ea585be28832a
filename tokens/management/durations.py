"""Durations on the command line: ``90s``, ``15m``, ``12h``, ``30d``, or bare seconds."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 10**10  # Seconds. Longer ones would lead to dates before the year 1.


def duration(text: str) -> timedelta:
    """Return the duration. Raise `ArgumentTypeError`, which argparse shows as one line."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip().lower(), re.ASCII)
    if not match or int(match[1]) * _UNITS[match[2]] > _LONGEST:
        raise ArgumentTypeError(f"{text!r} is not a duration: write 90s, 15m, 12h or 30d, up to 300 years")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
