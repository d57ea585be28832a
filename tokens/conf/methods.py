"""The settings about authentication methods, and the words for them on pages.

    ACR_VALUES       {"aal1": ["pwd", "otp"], "aal2": ["mfa"], "aal3": ["hwk mfa"]}
    BACKEND_METHODS  {"ldap.backends.LdapBackend": ["pwd"]}

The levels of ACR_VALUES go from the lowest to the highest. Each lists sets of methods, and one of the sets is enough.
The names in a set are separated by blanks.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tokens.protocol.methods import Levels

NAME = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
"""The name of a method: it stands in a text, before a colon and between blanks."""
_SINGLE = ("pwd", "otp", "sms", "tel", "pop", "hwk", "swk", "sc")
DEFAULT_LEVELS: Levels = (
    ("aal1", tuple(frozenset({name}) for name in _SINGLE)),
    ("aal2", (frozenset({"mfa"}),)),
    ("aal3", (frozenset({"hwk", "mfa"}),)),
)
"""The assurance levels of NIST SP 800-63B-4, as far as methods can tell."""

_WORDS: dict[str, str | Promise] = {
    "pwd": _("password"),
    "pin": _("PIN"),
    "otp": _("code of an app"),
    "sms": _("code by text message"),
    "tel": _("phone call"),
    "pop": _("passkey"),
    "swk": _("passkey"),
    "hwk": _("security key"),
    "sc": _("smart card"),
    "face": _("face"),
    "fpt": _("fingerprint"),
    "iris": _("eye"),
    "retina": _("eye"),
    "vbm": _("voice"),
    "kba": _("security question"),
    "wia": _("Windows sign-in"),
}
_WORDLESS = frozenset({"mfa", "mca", "user", "geo", "rba"})
"""Values that say how other methods were used."""


def words(names: Iterable[str]) -> list[str]:
    """Return the words for methods, each once, in the active language. A project's own methods have their names."""
    return list(dict.fromkeys(str(_WORDS.get(name, name)) for name in names if name not in _WORDLESS))


def read_levels(given: Any) -> Levels:
    """Return the levels of ACR_VALUES. Raise `ValueError`."""
    if not isinstance(given, Mapping):
        raise ValueError("must be lists of sets of methods by level, the lowest level first")
    levels = []
    for level, sets in given.items():
        if not isinstance(level, str) or not level.isprintable() or not level or " " in level:
            raise ValueError(f"must be lists of sets of methods by level, and {level!r} is not the name of a level")
        listed = _listed(sets, level)
        if not all(enough.split() for enough in listed):
            raise ValueError(f"must have at least one method in each set of {level!r}")
        levels.append((level, tuple(frozenset(enough.split()) for enough in listed)))
    return tuple(levels)


def levels_from_text(text: str) -> Any:
    """Parse the text of an environment variable for `read_levels`: ``aal1=pwd, aal1=otp, aal2=mfa``."""
    levels: dict[str, list[str]] = {}
    for level, enough in _pairs(text):
        levels.setdefault(level, []).append(enough)
    return levels


def read_backends(given: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the pairs of the dotted path of a backend and its methods (BACKEND_METHODS). Raise `ValueError`."""
    if not isinstance(given, Mapping) or not all(isinstance(path, str) for path in given):
        raise ValueError("must be lists of methods by the dotted path of a backend")
    return tuple((path, tuple(_listed(methods, path))) for path, methods in given.items())


def backends_from_text(text: str) -> Any:
    """Parse the text of an environment variable for `read_backends`: ``a.Backend=pwd otp, another.Backend=``."""
    return {path: methods.split() for path, methods in _pairs(text)}


def _pairs(text: str) -> list[tuple[str, str]]:
    items = (item.partition("=") for item in text.split(",") if item.strip())
    return [(name.strip(), value.strip()) for name, _, value in items]


def _listed(given: Any, name: str) -> list[str]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, str) for item in given):
        raise ValueError(f"must be a list of texts for {name!r}")
    return list(given)
