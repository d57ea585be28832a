"""Packages from npm are pinned: a test run installs the reviewed versions, from whichever registry the machine uses."""

import json
import re
from pathlib import Path

import pytest

from tests.clients.conftest import ROOT

LOCK_FILES = sorted(
    path.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/package-lock.json") if "node_modules" not in path.parts
)


def test_there_are_lock_files():
    assert Path("tests/clients/jose/package-lock.json") in LOCK_FILES


@pytest.mark.parametrize("path", LOCK_FILES, ids=lambda path: str(path.parent))
def test_packages_are_pinned_and_their_lock_file_names_no_registry(path):
    folder = (ROOT / path).parent
    package = json.loads((folder / "package.json").read_text())
    lock = json.loads((folder / "package-lock.json").read_text())
    pinned = {**package.get("dependencies", {}), **package.get("devDependencies", {})}
    assert pinned
    for name, version in pinned.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry
        assert not name or entry["integrity"].startswith("sha512-")
    # The versions of the Next.js app share these files in the folder above.
    settings = next(place for place in (folder, folder.parent) if (place / ".npmrc").exists())
    assert "omit-lockfile-registry-resolved=true" in (settings / ".npmrc").read_text().splitlines()
    assert "node_modules/" in (settings / ".gitignore").read_text().splitlines()
