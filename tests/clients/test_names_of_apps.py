"""A project has an app of its own that is called `accounts` or `tokens`, and Latchkey is installed from the wheel."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.projects import clean_environment, installed_wheel

MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """
SECRET_KEY = "the secret of somebody's project"
DEBUG = True
ORIGIN = "http://localhost:8000"
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
AUTHENTICATION_BACKENDS = ["tokens.backends.ModelBackend"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "tokens.middleware.TokenMiddleware"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", *APPS]
"""
OWN_APP = {
    "__init__.py": "",
    "apps.py": """
from django.apps import AppConfig

class OwnConfig(AppConfig):
    name = "NAME"
""",
    "models.py": """
from django.db import models

class Profile(models.Model):
    pass
""",
}

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(wheel: Path, tmp_path: Path) -> Check:
    """Runs ``manage.py check`` in a project with these apps. ``own`` is the name of the project's app.

    ``late``: the project's folder comes after the installed packages, as in an editable installation.
    """
    python, packages = installed_wheel(wheel, tmp_path / "venv")
    site, code = tmp_path / "site", tmp_path / "code"
    site.mkdir()

    def run(*apps: str, own: str, late: bool = False, users: str = "auth.User") -> subprocess.CompletedProcess[str]:
        folder = code if late else site
        package = folder / own.replace(".", "/")
        package.mkdir(parents=True)
        for name, text in OWN_APP.items():
            (package / name).write_text(text.replace("NAME", own))
        if late:
            (packages / "zz_project.pth").write_text(f"{code}\n")
        (site / "urls.py").write_text("urlpatterns = []\n")
        (site / "settings.py").write_text(f"APPS = {list(apps)!r}\nAUTH_USER_MODEL = {users!r}\n{SETTINGS}")
        (site / "manage.py").write_text(MANAGE)
        return subprocess.run(
            [python, "manage.py", "check"],
            cwd=site, env=clean_environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


def test_an_own_app_accounts_is_used_beside_tokens_and_a_warning_says_that_ours_is_hidden(check):
    done = check("accounts", "tokens", own="accounts")
    assert done.returncode == 0, done.stderr
    assert "(tokens.W050) Latchkey's app 'accounts', in " in done.stderr
    assert "site/accounts." in done.stderr


@pytest.mark.parametrize("name", ["accounts", "tokens"])
def test_an_own_app_that_ours_hides_is_an_error(check, name):
    done = check("accounts", "tokens", own=name, late=True, users="accounts.User")
    assert done.returncode == 1
    assert f"(tokens.E050) The app '{name}' of the project, in " in done.stderr


def test_an_own_app_tokens_keeps_our_accounts_from_starting_and_the_error_says_why(check):
    done = check("accounts", "tokens", own="tokens", users="accounts.User")
    assert done.returncode == 1
    assert "needs Latchkey's app tokens" in done.stderr.splitlines()[-1]
    assert "site/tokens is another package of that name" in done.stderr


def test_an_app_below_the_project_with_our_label_is_in_nobodys_way(check):
    done = check("shop.accounts", "tokens", own="shop.accounts")
    assert (done.returncode, "tokens." in done.stderr) == (0, False), done.stderr
