"""The adapter for django-oauth-toolkit. Its tests are in `oauth.suite`, because the package's app must be installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Block
from tests.tokens.contrib.oauth.settings import ADAPTER, BEARER

ROOT = Path(__file__).parents[3]
SETTINGS = "tests.tokens.contrib.oauth.settings"


def runs_blocks() -> list[Block]:
    """The blocks are the settings of the suite."""
    return [ADAPTER, BEARER]


def run(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_suite_passes_with_the_package():
    options = ("-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly", f"--ds={SETTINGS}")
    assert "passed" in run("-m", "pytest", *options, "tests/tokens/contrib/oauth/suite.py")


def test_its_migration_is_complete():
    run("-m", "django", "makemigrations", "--check", "--dry-run", "--settings", SETTINGS)
