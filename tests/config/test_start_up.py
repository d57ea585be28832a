"""Which modules a process imports at its start, and which only when a request needs them. The processes are real."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LATER = {"drf_spectacular.utils", "argon2", "ua_parser", "jwt", "segno"}
"""Modules that only the API's description, a sign-in, a token or a QR code needs."""
API = {"rest_framework.views", "tokens.api.views", "accounts.api.views"}
MANAGEMENT_COMMAND = f"""
import django, sys
django.setup()
assert not {LATER | API!r} & sys.modules.keys()
"""
REQUESTS_WITHOUT_A_TOKEN = """
from config.wsgi import application
from django.test import RequestFactory
for path, status in (("/", 200), ("/.well-known/jwks.json", 200), ("/api/auth/me", 401)):
    environ = RequestFactory(headers={"Host": "example.org"}).get(path, secure=True).environ
    answers = []
    list(application(environ, lambda status, headers: answers.append(status)))
    assert answers[0].startswith(str(status)), (path, answers)
import gc
assert gc.isenabled() and gc.get_freeze_count() > 100_000  # Imported objects are not examined again.
"""


def imported(code: str) -> set[str]:
    """Run this code in a new process, and return the names of the modules that it has imported."""
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


def test_a_command_imports_no_view_and_requests_without_a_token_nothing_for_sign_ins_tokens_and_descriptions():
    found = imported(MANAGEMENT_COMMAND + REQUESTS_WITHOUT_A_TOKEN)
    assert found.issuperset(API)
    assert found.isdisjoint(LATER)
