"""The programs on the page "Sign in from a Python program" are run with a real server."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.clients.projects import clean_environment
from tests.documents import PAGES, ROOT
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

CLIENT = ROOT / "clients" / "python"
PAGE = PAGES["how-to/python-client.md"]
BLOCKS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def run(name: str, folder: Path, server: Any) -> subprocess.CompletedProcess[str]:
    (folder / name).write_text(BLOCKS[name].replace("https://auth.example.org", server.origin))
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
    assert set(BLOCKS) == {"sync.py", "sync_async.py", "sync_keyring.py", "sync_errors.py"}
    assert PAGE.count("```python") == len(BLOCKS)
    before = run("sync_errors.py", tmp_path, server)
    assert (before.returncode, "Sign in again." in before.stderr) == (1, True)
    UserFactory(email="sync@example.org")
    printed = {
        "sync.py": "sync@example.org",
        "sync_async.py": "{200}",
        "sync_errors.py": "200",
        "sync_keyring.py": "200",
    }
    for name, text in printed.items():
        done = run(name, tmp_path, server)
        assert done.stdout.strip() == text, done.stderr
    # The three that share a file share a session, too.
    assert RefreshToken.objects.count() == 2


def test_the_command_that_installs_names_this_package_and_its_extra():
    [(path, extra)] = re.findall(r'pip install "/path/to/latchkey/(\S+)\[(\w+)\]"', PAGE)
    project = tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert project["name"] in PAGE
