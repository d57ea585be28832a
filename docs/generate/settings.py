"""The tables of settings and throttles."""

from datetime import timedelta
from typing import Any

from docs.generate.markdown import table
from tokens.conf import SETTINGS
from tokens.conf.rates import NAMES, Rates

OF_ORIGIN = {"ISSUER", "AUDIENCE"}
"""Settings whose default is the setting ORIGIN. In the code it is an empty text, because ORIGIN is read later."""


def settings() -> str:
    return table(
        ["name", "type", "default", "meaning"],
        [
            [f"`{name}`", item.metadata["kind"], _default(name, item.default), item.metadata["doc"]]
            for name, item in SETTINGS.items()
        ],
    )


def throttles() -> str:
    docs = {name: item.metadata["doc"] for name, item in Rates.__dataclass_fields__.items()}
    rates = Rates()
    return table(["throttle", "rate", "counted"], [[f"`{name}`", f"`{rates.of(name)}`", docs[name]] for name in NAMES])


def _default(name: str, value: Any) -> str:
    if name in OF_ORIGIN:
        return "`ORIGIN`"
    match name:
        case "THROTTLES":
            return "[Throttles](throttles.md)"
        case "BODY_LIMITS":
            return "`" + ", ".join(f"{beginning}={limit}" for beginning, limit in value.by_beginning) + "`"
        case "ACR_VALUES":
            return ", ".join(f"`{level}`" for level, _ in value)
    match value:
        case timedelta():
            return f"{value.total_seconds():g}" if value.total_seconds() < 1e5 else str(int(value.total_seconds()))
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case () | "":
            return "none"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"
