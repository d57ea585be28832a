"""What a process imports, and what it leaves until somebody needs it: real processes, in production."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TO_DESCRIBE = "drf_spectacular.utils"
TO_SIGN_IN = ("argon2", "ua_parser")
FOR_THE_API = ("rest_framework.views", "tokens.api.views", "accounts.api.views")
FOR_TOKENS = "jwt"
SETUP = "import django; django.setup()"
CHECK = "import manage, sys; sys.argv = ['manage.py', 'check']; manage.main()"
STRANGER = """
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
request = RequestFactory().get("{path}", headers={{"Host": "example.org"}}, secure=True)
assert get_wsgi_application().get_response(request).status_code == {status}
"""


def imported(code: str) -> set[str]:
    """Run this in a fresh process, and return the names of the modules that are there at its end."""
    variables = {
        "DEBUG": "false",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "a secret for tests that is long enough to be taken for a real one",
        "ORIGIN": "https://example.org",
        "DATABASE_URL": "postgres://nobody@localhost/nothing",
    }
    command = (sys.executable, "-W", "ignore", "-c", f"{code}\nimport sys\nprint(*sys.modules)")
    answer = subprocess.run(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(SETUP, id="django.setup()"),
        pytest.param(CHECK, id="manage.py check"),
        pytest.param(STRANGER.format(path="/", status=200), id="the page to sign in"),
        pytest.param(STRANGER.format(path="/.well-known/jwks.json", status=200), id="the public keys"),
    ],
)
def test_nothing_is_imported_before_somebody_needs_it(code: str) -> None:
    assert imported(code).isdisjoint({TO_DESCRIBE, *TO_SIGN_IN, *FOR_THE_API, FOR_TOKENS})


def test_the_api_brings_itself_and_no_description() -> None:
    found = imported(STRANGER.format(path="/api/auth/me", status=401))
    assert found.issuperset(FOR_THE_API)
    assert found.isdisjoint({TO_DESCRIBE, *TO_SIGN_IN, FOR_TOKENS})


def test_a_server_in_production_lets_no_request_wait_for_imports() -> None:
    found = imported("from config.preloaded import application")
    assert found.issuperset({*FOR_THE_API, FOR_TOKENS, "config.urls"})
    assert found.isdisjoint({TO_DESCRIBE, *TO_SIGN_IN})
