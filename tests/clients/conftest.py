"""What clients that nobody here wrote need: their packages."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "jose"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's folder with the pinned ``jose`` in it, installed into a copy: a test run must not litter."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.fail(f"{command} is not installed. These tests run a client in Node 20 or newer: install it.")
    if (SOURCE / "node_modules").exists():
        return SOURCE
    copy = tmp_path_factory.mktemp("clients") / "jose"
    shutil.copytree(SOURCE, copy)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"], cwd=copy, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.fail(f"npm could not install jose:\n{done.stdout}{done.stderr}")
    return copy
