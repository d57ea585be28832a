"""The packages of npm clients, and the wheel."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs import built_wheel

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PACKAGES = ("browser", "next", "react", "react-native")

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
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm workspace ``clients``, installed and built. In its sources a mistake of the build would not show."""
    source = ROOT / "clients"
    if (source / "node_modules").exists():
        if not all((source / name / "lib").exists() for name in PACKAGES):
            pytest.fail("The packages are not built. Run this in clients/: npm run build")
        return source
    static = Path("tokens", "static", "tokens")
    copy = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / static, copy / static)
    return installed(source, copy / "clients", "install")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that ``pip install`` of this checkout makes. The checkout itself would also have files it lacks."""
    return built_wheel(tmp_path_factory.mktemp("wheel"))


def installed(source: Path, copy: Path, command: str = "ci") -> Path:
    """Return a folder with the packages of ``source``: itself if they are there, or ``copy`` after installing them.

    They are installed into a copy so that a test run changes nothing in the checkout.
    """
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            pytest.fail(f"{needed} is not installed. These tests run programs in Node 20 or newer: install it.")
    if (source / "node_modules").exists():
        return source
    shutil.copytree(source, copy)
    done = subprocess.run(
        ["npm", command, "--no-audit", "--no-fund"], cwd=copy, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.fail(f"npm could not install what {source.name} needs:\n{done.stdout}{done.stderr}")
    return copy
