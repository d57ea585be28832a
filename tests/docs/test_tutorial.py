"""The tutorial does what it says: each of its blocks is run, and prints what the page says."""

from pathlib import Path

import pytest

from tests.browser.sites import SECRET_KEY
from tests.docs.blocks import Block
from tests.docs.tutorial import Started, files, page, prints, run, serving, start_of, steps, with_changes
from tests.programs import free_port

PAGES = ("sign-in", "django-page")
DEMO = "pip install uv && uv run --active --no-dev manage.py demo"
SHORTER = {"20": "2", "sleep 20": "sleep 2", "sleep 11": "sleep 2"}
"""The short version of the test waits two seconds where the text waits longer, for a token that lives two seconds."""


def runs_blocks() -> list[Block]:
    """Return the blocks of the pages that are run here."""
    return [block for name in ("demo", *PAGES) for block in page(name)]


def test_the_readme_and_the_first_page_start_the_demo_as_the_tutorial_does():
    assert start_of("demo") == Started({}, start_of("sign-in").arguments)
    assert [found.text.strip() for found in page("demo")] == [DEMO]


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(SHORTER, id="with short waits"),
        pytest.param({}, marks=pytest.mark.exhaustive, id="with the waits of the text"),
    ],
)
def test_each_block_prints_what_the_page_says(name, changes, tmp_path):
    shell, port = tmp_path / "shell", free_port()
    shell.mkdir()
    for path, text in files(name).items():
        write(tmp_path if "/" in path else shell, path, text)
    given = start_of(name)
    lifetime = given.environment["TOKENS_ACCESS_LIFETIME"]
    started = Started({"TOKENS_ACCESS_LIFETIME": changes.get(lifetime, lifetime)}, given.arguments)
    changes = {**{key: value for key, value in changes.items() if " " in key}, "localhost:8000": f"localhost:{port}"}
    with serving(started, port, tmp_path, DEBUG="true", SECRET_KEY=SECRET_KEY):
        for command, expected in steps(name):
            printed = run(with_changes(command, changes), shell)
            assert prints(with_changes(expected, changes), printed), f"{command}\nprints:\n{printed}"


def write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    (folder / path).write_text(text)
