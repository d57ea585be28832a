"""Follows `docs/how-to/testing.md` word for word: ``python -m tests.clients.first_test``.

In a project from ``startproject`` that has followed the steps (`tests.clients.first_steps`), it writes the blocks of
the page to the files that they name, and runs them with pytest and with ``manage.py test``. The wheel and the test
runner are installed into a fresh virtual environment. The script says how long the way took.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.first_steps import BOTH, Case, Project, environment
from tests.docs.blocks import Block
from tests.docs.blocks import blocks as blocks_of
from tests.programs import built_wheel, completed

PAGE = "docs/how-to/testing.md"
TOOLS = ("pytest", "pytest-django")
FIRST = ("pytest.ini", "conftest.py", "test_sign_in.py", "tests.py")
"""The files that the tests without a browser need."""


def blocks() -> dict[str, str]:
    """Return the blocks of the page by the names of their files."""
    return {one.first.removeprefix("# "): one.body for one in blocks_of(PAGE, "ini", "python")}


def runs_blocks() -> list[Block]:
    return [one for one in blocks_of(PAGE) if one.first.removeprefix("# ") in FIRST]


def prepared(folder: Path, python: str) -> Project:
    """Return a project that has followed the steps, with the API and Django's own users."""
    project = Project(folder, python, Case(BOTH))
    project.paste()
    return project


def write(project: Project, *names: str) -> None:
    """Write blocks to the files that they name."""
    for name in names:
        (project.folder / name).write_text(blocks()[name].replace("mysite", "site_"))


def run(project: Project, *arguments: str, **environment: str) -> str:
    """Run Python in the project, without variables that say where its settings are, and return what it prints."""
    variables = {name: value for name, value in project.environment.items() if not name.startswith("DJANGO_")}
    done = completed(project.python, *arguments, cwd=project.folder, env={**variables, **environment})
    return done.stdout + done.stderr


def with_pytest(project: Project, *arguments: str, plugins: str = "pytest_django.plugin") -> str:
    """Run pytest in the project with these plugins, and no others that happen to be installed here."""
    return run(project, "-m", "pytest", *arguments, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_PLUGINS=plugins)


def follow(folder: Path, python: str) -> None:
    """Follow the section in a new project. Raise `AssertionError` if a test fails or is not found."""
    project = prepared(folder, python)
    write(project, *FIRST)
    assert "4 passed" in (said := with_pytest(project, "tests.py", "test_sign_in.py")), said
    assert "Ran 1 test" in (said := run(project, "manage.py", "test")), said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the new environment")
    options = parser.parse_args()
    for key in ("UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"):
        os.environ.pop(key, None)
    with TemporaryDirectory() as name:
        folder, began = Path(name), time.monotonic()
        python = environment(folder / "environment", built_wheel(folder / "wheel"), "api", options.python)
        uv = shutil.which("uv")
        install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        subprocess.run([*install, "--quiet", *TOOLS], check=True)
        follow(folder / "project", python)
        print(f"{time.monotonic() - began:7.1f} s  from the checkout to a test with a signed-in client")


if __name__ == "__main__":
    main()
