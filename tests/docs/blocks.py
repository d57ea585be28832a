"""The code blocks of the documentation, and who runs each of them.

A runner is a module of tests that runs or validates blocks. It has a function ``runs_blocks()`` that returns them, and
it takes their text from here, so that it runs what the page says. For example::

    VERIFIER = block("docs/how-to/verify-access-tokens.md", "# verify.py")

    def runs_blocks() -> list[Block]:
        return [VERIFIER]

A block that no runner can run is listed in ``not_run.txt`` with its reason. Within a page a block is named by its first
line, which is therefore unique there. Directives of the documentation's generator, such as ``{toctree}``, are no code.
"""

import importlib
import json
import re
import subprocess
import sys
from dataclasses import astuple, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import django
from markdown_it import MarkdownIt

from tests.documents import ROOT

NOT_RUN = Path(__file__).parent / "not_run.txt"
DIRECTIVE = re.compile(r"\{(?!mermaid\}|code-block\})[\w-]+\}")


@dataclass(frozen=True, order=True)
class Block:
    """A code block. ``page``: its file's path in the repository. ``language``: empty for an indented block."""

    page: str
    line: int
    language: str = field(compare=False)
    text: str = field(compare=False, repr=False)

    @property
    def first(self) -> str:
        """The first line, which names the block within its page."""
        return self.text.partition("\n")[0].strip()

    @property
    def body(self) -> str:
        """The text without the first line."""
        return self.text.partition("\n")[2]

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.first}"


def parse(page: str, text: str) -> list[Block]:
    """Return the code blocks of a page: fenced ones and indented ones, in list items too."""
    tokens = [token for token in MarkdownIt().parse(text) if token.type in {"fence", "code_block"}]
    found = []
    for token in tokens:
        info = token.info.strip()
        if not DIRECTIVE.match(info):
            assert token.map is not None
            found.append(Block(page, token.map[0] + 1, info.strip("{}"), token.content))
    return found


@cache
def all_blocks() -> tuple[Block, ...]:
    """Return the code blocks of all pages that are for users and for those who work on the project."""
    docs = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    others = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("clients/*/README.md")]
    pages = sorted([*docs, *others, *ROOT.glob("examples/*/README.md")])
    return tuple(found for path in pages for found in parse(path.relative_to(ROOT).as_posix(), path.read_text()))


def blocks(page: str, *languages: str) -> list[Block]:
    """Return the blocks of a page, or of all pages in a folder, or only those in these languages."""
    found = [one for one in all_blocks() if one.page == page or one.page.startswith(page.rstrip("/") + "/")]
    return [one for one in found if not languages or one.language in languages]


def block(page: str, first: str) -> Block:
    """Return the block of a page that begins with this line. Raise `LookupError` if there is none, or several."""
    found = [one for one in blocks(page) if one.first == first]
    if len(found) != 1:
        raise LookupError(f"{page} has {len(found)} blocks that begin with the line {first!r}.")
    return found[0]


@cache
def runners() -> dict[str, list[Block]]:
    """Return the blocks that each module of tests runs, by the name of the module.

    The modules are imported by another process. Some of them change the settings, or register system checks, which the
    tests that run after this one would feel.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.blocks"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return {name: [Block(*one) for one in claimed] for name, claimed in json.loads(done.stdout).items()}


def _claims() -> dict[str, list[tuple[Any, ...]]]:
    """Import the modules of tests that run blocks, and return the blocks of each."""
    names = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if re.search(r"^def runs_blocks\(", path.read_text(), re.MULTILINE):
            names.append(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    return {name: [astuple(one) for one in importlib.import_module(name).runs_blocks()] for name in names}


def not_run() -> dict[tuple[str, str], str]:
    """Return the reason for each block in ``not_run.txt``, by its page and its first line."""
    entries = [paragraph.splitlines() for paragraph in NOT_RUN.read_text().strip().split("\n\n") if paragraph]
    return {(page, first.strip()): " ".join(line.strip() for line in reason) for page, first, *reason in entries}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(_claims()))  # noqa: T201
