"""Runs django-allauth's own suites with our middleware and backend: ``python -m tests.foreign.allauth_suites``.

pip downloads the source of the installed version, and the packages that its tests need. Each suite runs twice, with
Django's middleware and with ours. The tests that fail only with ours are compared with `LISTED`. The script fails if
there are others, or if a listed one passes. It takes about five minutes.
"""

import argparse
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
SUITES = ("usersessions", "headless", "account", "core", "mfa", "idp")
NEEDED = ("fido2", "qrcode", "pytest-asyncio", "python3-openid", "django-ninja", "requests-oauthlib")
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
LISTED: dict[str, str] = {"tests.apps.usersessions.test_views::test_overall_flow": _LAG}
"""The tests that fail with ours only, and why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=SUITES, help=f"by default {', '.join(SUITES)}")
    parser.add_argument("--folder", type=Path, help="where the source and the packages are kept for the next run")
    given = parser.parse_args()
    folder = (given.folder or Path(mkdtemp(prefix="allauth-"))).resolve()
    source = _source(folder)
    (source / "tests" / "projects" / "with_latchkey.py").write_text(SETTINGS)
    unexpected: list[str] = []
    for suite in given.suites:
        count, theirs = _run(source, folder, suite, "tests.projects.regular.settings")
        _, ours = _run(source, folder, suite, "tests.projects.with_latchkey")
        only = sorted(ours - theirs)
        print(f"{suite}: {count} tests, {len(theirs)} fail without us, {len(only)} fail only with us")
        for name in only:
            print(f"    {name}: {LISTED.get(name, 'NOT LISTED')}")
        unexpected += [name for name in only if name not in LISTED]
        passed = [name for name in LISTED if name.startswith(f"tests.apps.{suite}.") and name not in only]
        unexpected += passed
        for name in passed:
            print(f"    {name} passes. Remove it from the list.")
    return bool(unexpected)


def _source(folder: Path) -> Path:
    """Return the folder with the source of the installed version. What is there already is not downloaded again."""
    name = f"django_allauth-{version('django-allauth')}"
    if not (folder / name).exists():
        pip = [sys.executable if _has_pip(sys.executable) else "python3", "-m", "pip"]
        options = ["--quiet", "--no-deps", "--no-binary", "django-allauth", "--dest", folder]
        subprocess.run([*pip, "download", *options, name.replace("_", "-").replace("-6", "==6", 1)], check=True)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        subprocess.run([*pip, "install", "--quiet", "--target", folder / "packages", *NEEDED], check=True)
    return folder / name


def _has_pip(python: str) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0


def _run(source: Path, folder: Path, suite: str, settings: str) -> tuple[int, set[str]]:
    """Return how many tests the suite has, and the names of those that fail with these settings."""
    report = folder / f"{suite}.xml"
    path = os.pathsep.join(map(str, (source, ROOT)))
    command = [sys.executable, "-c", PYTEST, folder / "packages", "-q", "-c", "pytest.ini"]
    command += ["-p", "no:cacheprovider", "-W", "ignore"]
    command += [f"--ds={settings}", f"--junit-xml={report}", f"tests/apps/{suite}"]
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("PYTEST_ADDOPTS", None)
    report.unlink(missing_ok=True)
    subprocess.run(command, cwd=source, env=environment, stdout=subprocess.DEVNULL)
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314  pytest has written it.
    failed = {
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    return len(cases), failed


if __name__ == "__main__":
    sys.exit(main())
