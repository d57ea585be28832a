"""Runs blocks of Python of the documentation in the process of the tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import ModuleType
from typing import Any

from tests.docs.blocks import Block


def run(block: Block, **names: Any) -> dict[str, Any]:
    """Run a block, and return its names. ``names``: those that stand above it in the file that the block is for."""
    code = compile(block.text, f"{block.page}, line {block.line}", "exec")
    found: dict[str, Any] = {"__name__": "documentation", **names}
    exec(code, found)  # noqa: S102 (our own text)
    return found


def settings_of(block: Block, **names: Any) -> dict[str, Any]:
    """Run a block of settings, and return the settings that it writes or changes.

    The block gets copies of ``names``. Blocks extend lists, and would otherwise change the settings of all tests.
    """
    return {name: value for name, value in run(block, **deepcopy(names)).items() if name.isupper()}


@contextmanager
def modules(**blocks: Block) -> Iterator[dict[str, ModuleType]]:
    """Import each block as the top-level module of its name, for as long as the context lasts."""
    made: dict[str, ModuleType] = {}
    try:
        for name, block in blocks.items():
            made[name] = sys.modules[name] = ModuleType(name)
            vars(made[name]).update(run(block, __name__=name))
        yield made
    finally:
        for name in made:
            sys.modules.pop(name, None)
