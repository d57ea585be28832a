"""What all commands of the benchmarks share: their options, a progress bar, and ratios."""

import argparse
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the lines of the description, and adds its default to the help of each option."""


def parser(function: Callable[..., Any], description: str | None, **texts: str) -> argparse.ArgumentParser:
    """Return a parser with an option for each parameter of the function that has a default. ``texts``: their help."""
    found = argparse.ArgumentParser(description=description, formatter_class=Formatter)
    for name, text in texts.items():
        default = inspect.signature(function).parameters[name].default
        kind: dict[str, Any] = {"action": "store_true"} if default is False else {"type": type(default)}
        found.add_argument(f"--{name.replace('_', '-')}", default=default, help=text, **kind)
    return found


def ratio(mine: float, other: float) -> float:
    """Return how many times as much the first is; not a number if the other was too little to be measured."""
    return mine / other if other else math.nan


def progress(*things: Any, **options: Any) -> Any:
    """Return a progress bar on standard error, which is shown on a terminal only."""
    return tqdm(*things, disable=not sys.stderr.isatty(), **options)
