"""The pages of the reference, and which function makes each of their tables."""

import re
from collections.abc import Callable
from pathlib import Path

from docs.generate import api, checks, commands, events, python, settings

REFERENCE = Path(__file__).parents[1] / "reference"
TABLES: dict[str, Callable[[], str]] = {
    "settings": settings.settings,
    "throttles": settings.throttles,
    "operations": api.operations,
    "objects": api.objects,
    "problems": api.problem_codes,
    "commands": commands.commands,
    "checks": checks.checks,
    "events": events.kinds,
    "reasons": events.reasons,
    "metrics": events.metrics,
    "sessions": lambda: python.names_of("tokens.sessions"),
    "signals": python.signals,
    "public": lambda: python.names_of("tokens.api.public"),
    "testing": lambda: python.names_of("tokens.testing"),
    "contrib": python.adapters,
    "models": python.models,
}
"""The function that makes each table."""
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def pages() -> dict[Path, str]:
    """Return the text of each page of the reference, with current tables. Raise `KeyError` for an unknown table."""
    return {path: current(path.read_text()) for path in sorted(REFERENCE.glob("*.md"))}


def current(text: str) -> str:
    """Return the text of a page with current tables."""
    return _PART.sub(lambda part: f"{part[1]}\n{TABLES[part[2]]().strip()}\n\n{part[3]}", text)
