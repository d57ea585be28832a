"""Runs django-allauth's own suites twice, with Django's middleware and backend and with ours, and compares.

python -m tests.foreign.allauth_suites [suite …] [--sources folder] [--verbose]

It fails if another test than those in `LISTED` fails only with ours, or if a listed one passes. All suites take about
five minutes.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.foreign import suites
from tests.foreign.suites import ROOT, Results

SUITES = ["usersessions", "headless", "account", "core", "mfa", "idp"]
NEEDED = ["fido2", "qrcode", "pytest-asyncio", "python3-openid", "django-ninja", "requests-oauthlib"]
"""What the suites need, and this project does not."""
PYTEST = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
"""Runs pytest. The packages of this project come before those that were installed for the suites."""
SETTINGS = """
from tests.projects.regular.settings import *
from tests.projects.regular.settings import AUTHENTICATION_BACKENDS, INSTALLED_APPS, MIDDLEWARE

BEFORE = "django.contrib.auth.middleware.AuthenticationMiddleware"
MIDDLEWARE = ["tokens.middleware.TokenMiddleware" if name == BEFORE else name for name in MIDDLEWARE]
AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend", *AUTHENTICATION_BACKENDS[1:]]
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "tokens"]
USERSESSIONS_ADAPTER = "tokens.contrib.allauth.UserSessionsAdapter"
ORIGIN = "http://testserver"
TOKENS = {"THROTTLES": "off"}
DEBUG = True
"""
_LAG = "the transaction of a test is never committed, so that this process learns of the end after REVOCATION_LAG only"
LISTED: dict[str, str] = {"tests.apps.usersessions.test_views.test_overall_flow": _LAG}
"""The tests that fail with ours only, and why."""


def main() -> int:
    parser = suites.options(__doc__ or "")
    parser.add_argument("suites", nargs="*", default=SUITES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latchkey-") as name:
        scratch = Path(name)
        source = suites.source("django_allauth", options.sources or scratch, scratch)
        (source / "tests" / "projects" / "with_latchkey.py").write_text(SETTINGS)
        suites.install(NEEDED, scratch / "packages", with_dependencies=True)
        suites.head()
        wrong: list[str] = []
        for suite in options.suites:
            before, after = (
                _run(source, scratch / "packages", suite, f"tests.projects.{settings}")
                for settings in ("regular.settings", "with_latchkey")
            )
            wrong += suites.report(suite, before, after, LISTED, verbose=options.verbose)
            passed = {name for name in LISTED if f".apps.{suite}." in name} - (
                after.failed.keys() - before.failed.keys()
            )
            for name in passed:
                print(f"  {name} passes. Remove it from the list.")
            wrong += passed
    return bool(wrong)


def _run(source: Path, packages: Path, suite: str, settings: str) -> Results:
    report = source / f"{suite}.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-c", "pytest.ini", "-p", "no:cacheprovider", "-W", "ignore", f"--ds={settings}"]
    command = [sys.executable, "-c", PYTEST, packages, *options, f"--junit-xml={report}", f"tests/apps/{suite}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (source, ROOT)))}
    environment.pop("PYTEST_ADDOPTS", None)
    subprocess.run(command, cwd=source, env=environment, stdout=subprocess.DEVNULL)
    return suites.results_of(report)


if __name__ == "__main__":
    sys.exit(main())
