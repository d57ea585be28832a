"""Runs the tutorial from its text: the blocks of shell commands in their order, and what the text says they print.

A block ``sh`` that starts the demo is run as a server. Every other one is run by bash. A block ``text`` after it is
what it prints, where ``…`` stands for anything. A block whose first line is a comment with a path is a file.
"""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.clients.projects import ROOT, clean_environment
from tests.docs.blocks import Block, blocks

START = "uv run --active --no-dev manage.py "
"""The README's command. The test runs it with its own interpreter, so that nothing is installed."""
SECONDS = 600
"""The time limit of a block. npm may need long."""
_FILE = re.compile(r"(?:#|//) (\S*\.\w[\w.]*)")


class Started(NamedTuple):
    """How a block starts the demo: the variables in front of the command, and the arguments of ``manage.py``."""

    environment: dict[str, str]
    arguments: list[str]


def page(name: str) -> list[Block]:
    """Return the blocks of a page of the tutorial."""
    return blocks(f"docs/tutorial/{name}.md")


def files(name: str) -> dict[str, str]:
    """Return the text of each file of a page, by its path."""
    return {found[1]: block.text for block in page(name) if (found := _FILE.fullmatch(block.first))}


def steps(name: str) -> Iterator[tuple[str, str]]:
    """Yield each block that bash runs, with what the page says it prints. Without a block after it, that is nothing."""
    for block, after in pairwise([*page(name), Block("", 0, "", "")]):
        if block.language == "sh" and not _FILE.fullmatch(block.first) and START not in block.text:
            yield block.text, after.text if after.language == "text" else ""


def start_of(name: str) -> Started:
    """Return how the page starts its server."""
    (block,) = [block for block in page(name) if START in block.text]
    before, _, after = block.text.strip().splitlines()[-1].partition(START)
    variables = [word.split("=", 1) for word in shlex.split(before) if "=" in word]
    return Started(dict(variables), shlex.split(after))


def with_changes(text: str, changes: Mapping[str, str]) -> str:
    """Return a text in which each of these strings is replaced by another."""
    for written, instead in changes.items():
        text = text.replace(written, instead)
    return text


def run(command: str, folder: Path, **environment: str) -> str:
    """Run a block with bash, and return what it prints. A command that fails ends the test."""
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done.stdout


def prints(expected: str, printed: str) -> bool:
    """Return whether a text is what the page says. Blanks and line breaks count as one blank."""
    parts = (re.escape(" ".join(part.split())) for part in expected.split("…"))
    return re.fullmatch(r"\s*.*?\s*".join(parts), " ".join(printed.split())) is not None


@contextmanager
def serving(started: Started, port: int, folder: Path, **environment: str) -> Iterator[None]:
    """Run the server at this port, with its database in this folder, where it also finds modules."""
    log = folder / "server.log"
    database = f"sqlite:///{folder / 'demo.sqlite3'}"
    env = clean_environment(**started.environment, **environment, DATABASE_URL=database, PYTHONPATH=str(folder))
    arguments = [word for word in started.arguments if word not in {"--port", "8000"}]
    command = [sys.executable, "-u", "manage.py", *arguments, "--port", str(port)]
    with log.open("w") as output, subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output) as process:
        try:
            while "Quit the server" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
