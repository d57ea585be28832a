"""The setting BODY_LIMITS: how many bytes a request body may have, by the beginning of the request's path.

    {"/": 2621440, "/files/": 524288000}

The longest beginning that fits counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OFF = "off"
ANY_PATH = "/"
DEFAULT = 2_621_440
"""Django's own limit of what it keeps in memory (FILE_UPLOAD_MAX_MEMORY_SIZE). Larger bodies would reach the disk."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits in bytes by the beginning of the path, the longest first. None: there is no limit."""

    by_beginning: tuple[tuple[str, int | None], ...] = ((ANY_PATH, DEFAULT),)

    def of(self, path: str) -> int | None:
        """Return the limit for a path. ``path`` is Django's ``path_info``."""
        return next((limit for beginning, limit in self.by_beginning if path.startswith(beginning)), DEFAULT)


def read(given: Any) -> BodyLimits:
    """Return the default limit, changed and extended by ``given``: bytes by path, or ``off``. Raise `ValueError`."""
    if not isinstance(given, Mapping):
        raise ValueError("must be bytes by the beginning of the path")
    for beginning, limit in given.items():
        if not isinstance(beginning, str) or not beginning.startswith("/"):
            raise ValueError(f"must be bytes by the beginning of the path, and {beginning!r} does not begin with /")
        if limit != OFF and (type(limit) is not int or limit < 1):
            raise ValueError(f'must be a number of bytes, or "off", for {beginning}')
    limits = {ANY_PATH: DEFAULT, **{beginning: None if limit == OFF else limit for beginning, limit in given.items()}}
    return BodyLimits(tuple(sorted(limits.items(), key=lambda item: -len(item[0]))))


def from_text(text: str) -> Any:
    """Parse the text of an environment variable for `read`: ``/=bytes, /files/=bytes, /imports/=off``."""
    pairs = [item.rpartition("=") for item in text.split(",") if item.strip()]
    return {beginning.strip(): _number(limit.strip()) for beginning, _, limit in pairs}


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text
