"""The README and CONTRIBUTING.md: what a newcomer sees first, and the commands for those who work on the project."""

import re
import shlex
import tomllib
from importlib.util import find_spec

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.blocks import Block, block, blocks
from tests.documents import README, ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CI = (ROOT / ".ci" / "run").read_text()
FIRST, TESTS = "pip install uv && uv run --active --no-dev manage.py demo", "uv run pytest"
CHECKED_BY_CI = ("ruff check", "ruff format", "mypy", "lint-imports", "sphinx-build")
COMMANDS = sorted(
    {
        part.strip()
        for line in re.findall(r"^ {4}(.+)$|^\| `(uv run [^`]+)`", CONTRIBUTING, re.MULTILINE)
        for part in "".join(line).split("&&")
    }
)


def runs_blocks() -> list[Block]:
    """Return the blocks of commands whose parts are checked here. CI runs the tests and the tools."""
    return [block("README.md", TESTS), *blocks("CONTRIBUTING.md")]


def test_the_readme_is_short_and_has_both_commands():
    assert len(README.splitlines()) <= 150
    commands = [line.strip() for line in README.splitlines() if line.startswith("    ") and "->" not in line]
    assert commands[:2] == [FIRST, TESTS]
    assert f"\n{TESTS}\n" in CI


def test_each_document_leads_to_files_that_exist():
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "clients/next/README.md", "examples/next/README.md"):
        for path, anchor in re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", (ROOT / name).read_text()):
            target = (ROOT / name).parent / path
            assert target.exists(), f"{name}: {path}"
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
            slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert not anchor or anchor in slugs, f"{name}: {path}#{anchor}"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one_that_the_project_has(command):
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z]+=\S+", word)]
    if words[:2] == ["uv", "sync"]:
        assert words[3] in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
        return
    assert words[:2] == ["uv", "run"], command
    match words[2:]:
        case ["pytest", *options]:
            markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
            known = {re.match(r"\w+", marker)[0] for marker in markers}
            expression = options[options.index("-m") + 1] if "-m" in options else ""
            assert set(re.findall(r"\w+", expression)) - {"and", "not"} <= known
            assert all((ROOT / path).exists() for path in options if path.startswith("tests/"))
        case ["python", "-m", module, *_]:
            assert find_spec(module)
        case ["manage.py", name, *options]:
            load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(options)
        case tool:
            assert " ".join(tool).startswith(CHECKED_BY_CI)
            assert f"uv run {' '.join(tool[:2])}".removesuffix(" .") in CI
