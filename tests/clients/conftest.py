"""The packages of npm clients, and the wheel."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

Package = Callable[[str], Path]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Returns the folder of a client with its pinned packages."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = installed(HERE / name, tmp_path_factory.mktemp("clients") / name)
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that ``pip install`` of this checkout makes. The checkout itself would also have files it lacks."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    [found] = folder.glob("*.whl")
    return found


def installed(source: Path, copy: Path) -> Path:
    """Return a folder with the packages of ``source``: itself if they are there, or ``copy`` after installing them.

    They are installed into a copy so that a test run changes nothing in the checkout.
    """
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.fail(f"{command} is not installed. These tests run programs in Node 20 or newer: install it.")
    if (source / "node_modules").exists():
        return source
    shutil.copytree(source, copy)
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.fail(f"npm could not install what {source.name} needs:\n{done.stdout}{done.stderr}")
    return copy
