"""The programs on the page "Sign in from a Python program" are run with a real server."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.clients.projects import clean_environment
from tests.docs.blocks import Block, block, blocks
from tests.documents import PAGES, ROOT
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

CLIENT = ROOT / "clients" / "python"
PAGE = PAGES["how-to/python-client.md"]
PROGRAMS = {found.first.removeprefix("# "): found for found in blocks("docs/how-to/python-client.md", "python")}
[INSTALLATION] = blocks("docs/how-to/python-client.md", "sh")
README = block("clients/python/README.md", "import httpx")


def runs_blocks() -> list[Block]:
    return [*PROGRAMS.values(), INSTALLATION, README]


def run(program: Block, folder: Path, server: Any) -> subprocess.CompletedProcess[str]:
    name = "program.py"
    text = program.text.replace("https://auth.example.org", server.origin).replace("…", PASSWORD)
    (folder / name).write_text(text)
    environment = {"SYNC_PASSWORD": PASSWORD, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    return subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(CLIENT / "src"), **environment),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_programs_do_what_the_page_says(server, tmp_path):
    before = run(PROGRAMS["sync_errors.py"], tmp_path, server)
    assert (before.returncode, "Sign in again." in before.stderr) == (1, True)
    UserFactory(email="sync@example.org")
    printed = {
        "sync.py": "sync@example.org",
        "sync_async.py": "{200}",
        "sync_errors.py": "200",
        "sync_keyring.py": "200",
    }
    assert set(printed) == set(PROGRAMS)
    for name, text in printed.items():
        done = run(PROGRAMS[name], tmp_path, server)
        assert done.stdout.strip() == text, done.stderr
    # The three that share a file share a session, too.
    assert RefreshToken.objects.count() == 2


def test_the_program_of_the_package_s_readme_signs_in(server, tmp_path):
    UserFactory(email="sync@example.org")
    done = run(README, tmp_path, server)
    assert "'email': 'sync@example.org'" in done.stdout, done.stderr


def test_the_command_that_installs_names_this_package_and_its_extra():
    [(path, extra)] = re.findall(r'pip install "/path/to/latchkey/(\S+)\[(\w+)\]"', INSTALLATION.text)
    project = tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert project["name"] in PAGE
