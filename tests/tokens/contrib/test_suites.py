"""The adapters for other packages. Each suite runs in a process of its own, because the package's app is installed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.blocks import Block, block, blocks
from tests.tokens.contrib.oauth.settings import ADAPTER, BEARER

ROOT = Path(__file__).parents[3]
FOLDER = "tests/tokens/contrib"
SUITES: dict[str, tuple[str, list[str]]] = {
    # The settings and the files of each suite
    "django-oauth-toolkit": ("oauth.settings", ["oauth/suite"]),
    "django-allauth": ("headless.settings", ["headless/suite", "headless/factors", "headless/policy"]),
    "simplejwt": ("coming_over.settings", ["coming_over/simplejwt_suite"]),
    "simplejwt without its blacklist": ("coming_over.plain_settings", ["coming_over/plain_suite"]),
    "knox": ("coming_over.knox_settings", ["coming_over/knox_suite"]),
    "django-allauth's JWTs": ("coming_over.allauth_jwt_settings", ["coming_over/allauth_jwt_suite"]),
    # It has no wheel, and CI installs nothing else: `uv sync --group benchmarks` installs it.
    "dj-rest-auth": ("coming_over.dj_rest_auth_settings", ["coming_over/dj_rest_auth_suite"]),
}
ALWAYS = list(SUITES)[:3]
"""The suites that run without ``-m exhaustive`` too."""


def runs_blocks() -> list[Block]:
    """The blocks are the settings and the URLs of the suites."""
    of_allauth = block("docs/how-to/other-packages.md", "# settings.py, with django-allauth")
    pages = [f"docs/how-to/moving/{page}.md" for page in ("allauth", "dj-rest-auth", "knox")]
    return [ADAPTER, BEARER, of_allauth, *(one for page in pages for one in blocks(page))]


@pytest.mark.long
@pytest.mark.parametrize(
    "package", [pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.exhaustive]) for name in SUITES]
)
@pytest.mark.parametrize(
    "database", ["postgresql", pytest.param("sqlite", marks=pytest.mark.exhaustive)], ids=lambda name: f"on {name}"
)
def test_the_suite_passes_with_the_package(package, database):
    if package == "dj-rest-auth" and find_spec("dj_rest_auth") is None:
        pytest.skip("dj-rest-auth is not installed")
    settings, files = SUITES[package]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-q", "-n0", "-p", "no:cacheprovider", f"--ds=tests.tokens.contrib.{settings}"]
    options += ["-k", database, "-m", "not browser", *(f"{FOLDER}/{name}.py" for name in files)]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
