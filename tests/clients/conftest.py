"""What clients that nobody here wrote need: their packages."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

Package = Callable[[str], Path]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Returns a client's folder with its pinned packages, installed into a copy: a test run must not litter."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.fail(f"{command} is not installed. These tests run a client in Node 20 or newer: install it.")
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = installed(HERE / name, tmp_path_factory.mktemp("clients") / name)
        return folders[name]

    return folder


def installed(source: Path, copy: Path) -> Path:
    """Return where the packages of the folder ``source`` are: in it, or in a copy that is made now."""
    if (source / "node_modules").exists():
        return source
    shutil.copytree(source, copy)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=copy, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.fail(f"npm could not install what {source.name} needs:\n{done.stdout}{done.stderr}")
    return copy
