"""The commands of `manage.py`, with their arguments."""

from argparse import SUPPRESS, Action
from functools import cache
from typing import Any

from django.core.management import BaseCommand, get_commands, load_command_class

from docs.generate.markdown import table

APPS = ("tokens", "accounts", "factors")


@cache
def _of_django() -> set[str]:
    """Return the options that every command has."""
    return {option for action in BaseCommand().create_parser("", "")._actions for option in action.option_strings}


def commands() -> str:
    return "\n".join(_described(app, name) for app in APPS for name in _names(app))


def _names(app: str) -> list[str]:
    return sorted(name for name, found in get_commands().items() if found == app)


def _described(app: str, name: str) -> str:
    command: Any = load_command_class(app, name)
    parser = command.create_parser("manage.py", name)
    shown = [action for action in parser._actions if action.help != SUPPRESS]
    own = [action for action in shown if not _of_django() & {*action.option_strings}]
    arguments = table(["argument", ""], [[_spelling(action), _text(action)] for action in own]) if own else ""
    return f"## `manage.py {name}`\n\n{' '.join(command.help.split())}\n\n{arguments}"


def _spelling(action: Action) -> str:
    names = ", ".join(f"`{option}`" for option in action.option_strings)
    value = action.metavar or (action.nargs != 0 and action.dest.upper()) or ""
    value = f"`{value}`" if value and action.nargs != 0 else ""
    choices = " or ".join(f"`{choice}`" for choice in action.choices or ())
    return " ".join(part for part in (names, choices or value) if part)


def _text(action: Action) -> str:
    return f"{action.help or ''}{'; required' if action.required and action.option_strings else ''}"
