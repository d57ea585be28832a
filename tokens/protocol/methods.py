"""Authentication methods: how the user of a session has proved who they are, and when.

A session's row has them as one text. Each method stands with the time at which the user last proved it, in POSIX
seconds::

    pwd:1893495600 otp:1893495612 mfa:1893495612

The names are those of the registry of RFC 8176 (IANA, "Authentication Method Reference Values"), and those that the
project has added. An access token has the names in its claim ``amr``. Its claim ``acr`` is the highest level that they
support (`acr_of`). Where nothing is known, the text is empty, and the token has neither.
"""

from collections.abc import Iterable, Mapping

MULTIPLE = "mfa"
"""The value for more than one factor. `added` adds it."""
_KNOWN = frozenset({"pwd", "pin"})
_HELD = frozenset({"otp", "sms", "tel", "pop", "hwk", "swk", "sc"})
_BODILY = frozenset({"face", "fpt", "iris", "retina", "vbm"})
_FACTORS = (_KNOWN, _HELD, _BODILY)
"""What the user knows, has, or is. Other values, such as ``kba``, are no factor (NIST SP 800-63B-4)."""
PERSONAL = _KNOWN | _BODILY | {MULTIPLE}
"""Methods that prove more than what the user has. Who has stolen the user's devices cannot use them."""
STRONG = _HELD | _BODILY | {MULTIPLE}
"""Methods that prove more than what the user knows. Somebody who has found out a password cannot use them."""
REGISTERED = frozenset({MULTIPLE, "geo", "kba", "mca", "rba", "user", "wia"}).union(*_FACTORS)
"""All values of the registry."""

Levels = tuple[tuple[str, tuple[frozenset[str], ...]], ...]
"""The values of ``acr``, the lowest first. Each has the sets of methods of which one is enough."""


def dumps(methods: Mapping[str, int]) -> str:
    """Return the text of the row for methods by name, with the time of each in POSIX seconds."""
    return " ".join(f"{name}:{at}" for name, at in methods.items())


def loads(text: str) -> dict[str, int]:
    """Return the methods in the text of a row by name, with the time of each in POSIX seconds."""
    pairs = (item.rpartition(":") for item in text.split())
    return {name: int(at) for name, _, at in pairs}


def names_in(text: str) -> list[str]:
    """Return the names of the methods in the text of a row, as ``amr`` has them."""
    return [item.rpartition(":")[0] for item in text.split()]


def added(text: str, new: Mapping[str, int]) -> str:
    """Return the text of the row after the user has proved these methods too.

    ``mfa`` is added when the methods are of two factors, whether they were proved together or one after the other.
    """
    merged = {**loads(text), **new}
    if new and MULTIPLE not in new and (_are_multiple(new) or (MULTIPLE not in merged and _are_multiple(merged))):
        merged[MULTIPLE] = max(new.values())
    return dumps(merged)


def beyond_knowledge(names: Iterable[str]) -> frozenset[str]:
    """Return those of these methods that show what the user has or is, and those that the project has added."""
    return frozenset(names) - (REGISTERED - _HELD - _BODILY)


def is_strong(names: Iterable[str]) -> bool:
    """Return whether one of these methods is of `STRONG`, or one that the project has added."""
    given = frozenset(names)
    return not given.isdisjoint(STRONG) or not given <= REGISTERED


def acr_of(names: Iterable[str], levels: Levels) -> str | None:
    """Return the highest level that a set of methods supports, or None."""
    given = frozenset(names)
    if given:
        for level, sets in reversed(levels):
            for enough in sets:
                if enough <= given:
                    return level
    return None


def supported_since(methods: Mapping[str, int], sets: Iterable[frozenset[str]]) -> int:
    """Return since when these methods support a level that has these sets, in POSIX seconds.

    A set counts since its method that was proved the longest ago. If several sets are proved, the newest counts. Raise
    `ValueError` if none is.
    """
    return max(min(methods[name] for name in enough) for enough in sets if enough <= methods.keys())


def _are_multiple(names: Iterable[str]) -> bool:
    given = frozenset(names)
    return sum(not given.isdisjoint(factor) for factor in _FACTORS) > 1
