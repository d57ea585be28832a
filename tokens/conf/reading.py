"""Reads the settings from Django's dictionary ``TOKENS`` and from the environment.

Durations are whole seconds there. In the environment, lists are comma-separated, and so are rates by name,
limits by path, methods by level or backend, and lifetimes by level.

- ``tokens.E001``: a setting has a value that it cannot have. The message names both.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from tokens.conf import body_limits, introspection_clients, lifetimes, methods, rates, signing_keys, validation
from tokens.conf.settings import FOREVER, FOREVER_TEXT, OFF, SETTINGS, SHORT_BOUND_LIFETIME, TokenSettings
from tokens.conf.signing_keys import DERIVED
from tokens.protocol.signing_keys import EDDSA

PREFIX = "TOKENS_"
"""The names of environment variables begin with it."""
MOST, MOST_SECONDS = 10**10, 50 * 365 * 86400
"""The largest numbers. Fifty years ago is still after 1970, where the times in ids and tokens begin."""


@lru_cache(maxsize=1)
def read() -> tuple[TokenSettings, tuple[CheckMessage, ...]]:
    """Return the settings as far as they can be read, and what is wrong with them."""
    messages: list[CheckMessage] = []
    given: dict[str, Any] = {}
    if not isinstance(getattr(settings, "TOKENS", {}), Mapping):
        hint = 'Write it as a dictionary: TOKENS = {"ACCESS_LIFETIME": 300}'
        messages.append(Error("TOKENS is not a dictionary.", hint=hint, id="tokens.E017"))
    for source, name, value in _given_values():
        if name not in SETTINGS:
            messages.append(_unknown(source, name))
            continue
        try:
            given[name.lower()] = _parse(name, value, from_text=source == "environment")
        except ValueError as error:
            hint = "docs/reference/settings.md lists all settings."
            messages.append(Error(f"{_label(source, name)}: {error}.", hint=hint, id="tokens.E001"))
    given["origin"] = str(getattr(settings, "ORIGIN", None) or "")
    given.setdefault("issuer", given["origin"])
    given.setdefault("audience", given["origin"])
    _fit_defaults(given)
    given["signing_keys"] = given.get("signing_keys") or (DERIVED,)
    given["keys"], wrong_keys = signing_keys.read(given.get("algorithm", EDDSA), given["signing_keys"])
    given["introspectors"], wrong_entries = introspection_clients.read(given.get("introspection_clients", ()))
    read_settings = TokenSettings(**given)
    messages += [*wrong_keys, *wrong_entries, *validation.validate(read_settings)]
    return read_settings, tuple(messages)


def is_given(name: str) -> bool:
    """Return whether the project has set this setting, and be it to its default."""
    return any(given == name for _source, given, _value in _given_values())


def _given_values() -> list[tuple[str, str, Any]]:
    configured = getattr(settings, "TOKENS", {})
    configured = configured if isinstance(configured, Mapping) else {}
    environment = {name.removeprefix(PREFIX): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return [("settings", name, value) for name, value in configured.items()] + [
        ("environment", name, value) for name, value in environment.items()
    ]


def _label(source: str, name: str) -> str:
    return f"{PREFIX}{name}" if source == "environment" else f'TOKENS["{name}"]'


def _unknown(source: str, name: str) -> CheckMessage:
    close = get_close_matches(str(name).upper(), SETTINGS, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"The settings are {', '.join(SETTINGS)}."
    # Other programs share the environment. A variable of theirs must not keep the server from starting.
    kind = Error if source == "settings" else Warning
    return kind(f"{_label(source, name)} is not a setting.", hint=hint, id="tokens.E002")


def _parse(name: str, value: Any, *, from_text: bool) -> Any:
    meta = SETTINGS[name].metadata
    if from_text:
        value = _from_text(meta["kind"], value.strip())
    match meta["kind"]:
        case "seconds" if meta["or_forever"] and value == FOREVER_TEXT:
            return FOREVER
        case "seconds" | "count":
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError("must be a whole number" + (" of seconds" if meta["kind"] == "seconds" else ""))
            most = MOST_SECONDS if meta["kind"] == "seconds" else MOST
            if not meta["least"] <= value <= most:
                or_forever = f", or '{FOREVER_TEXT}'" if meta.get("or_forever") else ""
                raise ValueError(f"must be at least {meta['least']}, and no more than {most}{or_forever}")
            return timedelta(seconds=value) if meta["kind"] == "seconds" else value
        case "flag":
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return value
        case "list":
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
                raise ValueError("must be a list of strings")
            return tuple(value)
        case "rates":
            return rates.read(value)
        case "limits":
            return body_limits.read(value)
        case "lifetimes":
            return lifetimes.read(value)
        case "levels":
            return methods.read_levels(value)
        case "backends":
            return methods.read_backends(value)
        case _:
            if not isinstance(value, str) or not value:
                raise ValueError("must be a string, and not empty")
            return value


def _from_text(kind: str, text: str) -> Any:
    if kind in {"seconds", "count"}:
        return int(text) if text.isascii() and text.isdecimal() else text
    if kind == "flag":
        return {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}.get(text.lower(), text)
    if kind == "list":
        return [item.strip() for item in text.split(",") if item.strip()]
    parsers = {
        "limits": body_limits.from_text,
        "rates": rates.from_text,
        "levels": methods.levels_from_text,
        "lifetimes": lifetimes.from_text,
        "backends": methods.backends_from_text,
    }
    return parsers[kind](text) if kind in parsers else text


def _fit_defaults(given: dict[str, Any]) -> None:
    """Fit the defaults to the durations that were given: the other durations, and whether sessions are bound.

    The server must start with any single one of these settings changed.
    """
    defaults = TokenSettings()
    access = given.get("access_lifetime", defaults.access_lifetime)
    if access < SHORT_BOUND_LIFETIME:
        given.setdefault("device_bound", OFF)
    if "acknowledge_after" not in given:
        grace = given.get("reuse_grace", timedelta())
        roomy = max(defaults.acknowledge_after, grace * 3 / 2)
        fitting = min(roomy, access / 2)
        given["acknowledge_after"] = fitting if fitting > grace else roomy
    given.setdefault("reuse_grace", min(defaults.reuse_grace, given["acknowledge_after"] / 3))
