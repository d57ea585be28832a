"""Coming over from other packages. The tests are in `coming_over`, because the packages' apps must be installed."""

from importlib.util import find_spec

import pytest

from tests.docs.blocks import Block, blocks
from tests.tokens.contrib.test_oauth_toolkit import run

FOLDER = "tests/tokens/contrib/coming_over"
SETTINGS = {
    "simplejwt": "settings",
    "plain": "plain_settings",
    "knox": "knox_settings",
    "allauth_jwt": "allauth_jwt_settings",
    "dj_rest_auth": "dj_rest_auth_settings",
}


def runs_blocks() -> list[Block]:
    """The blocks are the settings and the URLs of the suites."""
    pages = ("allauth", "dj-rest-auth", "knox")
    return [one for page in pages for one in blocks(f"docs/how-to/moving/{page}.md")]


@pytest.mark.long
@pytest.mark.parametrize(
    "package",
    [
        "simplejwt",
        pytest.param("plain", marks=pytest.mark.exhaustive),
        pytest.param("knox", marks=pytest.mark.exhaustive),
        pytest.param("allauth_jwt", marks=pytest.mark.exhaustive),
        # It has no wheel, and CI installs nothing else: `uv sync --group benchmarks` installs it.
        pytest.param("dj_rest_auth", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize(
    "database", ["postgresql", pytest.param("sqlite", marks=pytest.mark.exhaustive)], ids=lambda name: f"on {name}"
)
def test_the_suite_passes_with_the_package(package, database):
    if package == "dj_rest_auth" and find_spec("dj_rest_auth") is None:
        pytest.skip("dj-rest-auth is not installed")
    settings = f"{FOLDER.replace('/', '.')}.{SETTINGS[package]}"
    options = ("-q", "-n0", "-p", "no:cacheprovider", f"--ds={settings}", "-k", database, "-m", "not browser")
    assert "passed" in run("-m", "pytest", *options, f"{FOLDER}/{package}_suite.py")


def test_its_migration_is_complete():
    run("-m", "django", "makemigrations", "--check", "--dry-run", "--settings", f"{FOLDER.replace('/', '.')}.settings")
