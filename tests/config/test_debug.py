"""DEBUG at a public address: the settings cannot be loaded, unless the host is local, or a setting names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import public_debug

ROOT = Path(__file__).parents[2]
LOCAL = (
    "http://localhost:8000",
    "http://example.org",
    "https://localhost",
    "https://localhost:8443",
    "https://app.localhost",
    "https://APP.test:8443",
)
PUBLIC = (
    "https://example.org",
    "https://example.org:8443",
    "https://user@Example.org",
    "https://localhost.example.org",
    "https://notlocalhost",
    "https://app.test.example.org",
    "https://192.0.2.7",
    "https://[2001:db8::7]:443",
)


@pytest.mark.parametrize("origin", LOCAL)
def test_is_possible_at(origin):
    assert public_debug(origin, []) == ""


@pytest.mark.parametrize("origin", PUBLIC)
def test_is_refused_at(origin):
    error = public_debug(origin, ["other.example.org"])
    assert error.startswith("DEBUG is on, and ORIGIN is https://")
    assert "user@" not in error
    named = error.rpartition("DEBUG_HOSTS to ")[2].removesuffix(".")
    assert public_debug(origin, [named]) == ""


def test_is_possible_at_a_host_that_a_setting_names():
    assert public_debug("https://dev.example.org", ["other.example.org", " Dev.example.org"]) == ""


@pytest.mark.parametrize(
    ("variables", "starts"),
    [({}, False), ({"DEBUG_HOSTS": "example.org"}, True)],
    ids=["it does not", "if the setting names the host it does"],
)
def test_whether_a_server_starts(variables, starts):
    secret = "a secret for tests that is long enough to be taken for a real one"
    environment = {"PATH": os.environ["PATH"], "SECRET_KEY": secret, "DEBUG": "true", "ORIGIN": "https://example.org"}
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode == 0) is starts, done.stderr
    assert starts or "ImproperlyConfigured: DEBUG is on, and ORIGIN is https://example.org." in done.stderr
