"""What a process imports, and what it leaves until somebody needs it: real processes, in production."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DESCRIPTION = "drf_spectacular.utils"
SIGN_IN = ("argon2", "ua_parser")
TOKEN = "jwt"
API = ("rest_framework.views", "tokens.api.views", "accounts.api.views")
STRANGERS = """
from config.wsgi import application
from django.test import RequestFactory
for path, status in (("/", 200), ("/.well-known/jwks.json", 200), ("/api/auth/me", 401)):
    environ = RequestFactory(headers={"Host": "example.org"}).get(path, secure=True).environ
    answers = []
    list(application(environ, lambda status, headers: answers.append(status)))
    assert answers[0].startswith(str(status)), (path, answers)
"""

FILES = """
import pathlib, tempfile
import config.settings
config.settings.STATIC_ROOT = folder = tempfile.mkdtemp()
pathlib.Path(folder, "a.js").write_text("1")
from config.wsgi import application
from django.test import RequestFactory
said = {}
environ = RequestFactory(headers={"Host": "example.org"}).get("/static/a.js", secure=True).environ
list(application(environ, lambda status, headers: said.update(headers, status=status)))
assert said["status"].startswith("200"), said
assert said["X-Content-Type-Options"] == "nosniff", said
assert said["Strict-Transport-Security"] == "max-age=31536000", said
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


def test_a_command_brings_no_view():
    assert imported("import django; django.setup()").isdisjoint({DESCRIPTION, *SIGN_IN, TOKEN, *API})


def test_what_strangers_ask_brings_nothing_for_sign_ins_tokens_and_descriptions():
    found = imported(STRANGERS)
    assert found.issuperset(API)
    assert found.isdisjoint({DESCRIPTION, *SIGN_IN, TOKEN})


def test_a_static_file_comes_with_the_headers_of_a_page():
    imported(FILES)
