"""An existing Django project adds Latchkey by the steps of the guide, and every signed-in user stays signed in.

The project (``existing_project``) is served by separate processes, before and after, on either database. Its own tests,
which know nothing of Latchkey, pass before and after. What Latchkey does in such a project is tested in
``shop/latchkey_tests.py``, and what it does with the sessions of Django in
``tests/tokens/web/django/test_django_session.py``.
"""

import re
import textwrap
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from tests.browsers import ACCESS, REFRESH
from tests.clients.first_steps import blocks
from tests.clients.projects import IN_PRODUCTION, ROOT, SOURCE, Browser, Project, Server, installed_wheel
from tests.databases import NAMES, start_server
from tests.settings import PG_URL

SITE = "https://your.site"
PASSWORD = "correct horse battery staple"

MAKE_USERS = """
from django.contrib.auth import get_user_model
for name in users:
    get_user_model().objects.create_user(name, f"{name}@example.org", password)
"""
SESSIONS = """
from tokens.models import RefreshToken
result = [
    {"device": row.device.name, "remember": row.remember}
    for row in RefreshToken.objects.filter(user__username=name).select_related("device").order_by("created_at")
]
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    if PG_URL.startswith("postgres"):
        yield PG_URL
        return
    url, server = start_server()
    yield url
    server.cleanup()


def database_url(name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return the URL of a new, empty database, which is dropped at the end of the test."""
    if name == "sqlite":
        return f"sqlite:///{folder}/db.sqlite3"
    url: str = request.getfixturevalue("postgresql")
    database = f"existing_{uuid4().hex}"

    def execute(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    execute(f"CREATE DATABASE {database}")
    request.addfinalizer(lambda: execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def sign_in(browser: Browser, server: Server, name: str) -> None:
    """Sign in by the project's own page."""
    answer = browser.post_form(server, "/auth/login/", username=name, password=PASSWORD)
    assert answer.status == 302, answer.text


def members(browser: Browser, server: Server) -> str | None:
    """Return the user's name from the page for members, or None if it redirects to the sign-in."""
    answer = browser.get(server, "/members")
    assert answer.status in {200, 302}, answer.text
    return answer.text.removeprefix("members: ") if answer.status == 200 else None


@dataclass
class Move:
    """The project after it has added Latchkey. ``browsers``: those in which a user signed in before, by their name."""

    browsers: dict[str, Browser]
    server: Server

    def sessions(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.do(SESSIONS, name=name)
        return found


@pytest.fixture(scope="module", params=NAMES)
def move(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """The move: users sign in by Django's sessions, the server stops, Latchkey is added, the server starts again."""
    folder = tmp_path_factory.mktemp("move")
    url = database_url(request.param, folder, request)
    project = Project(folder / "site", {**IN_PRODUCTION, "DATABASE_URL": url})
    project.manage("migrate")
    browsers = {name: Browser(SITE) for name in ("alone", "parallel")}
    with project.served() as before:
        before.do(MAKE_USERS, users=list(browsers), password=PASSWORD)
        for name, browser in browsers.items():
            sign_in(browser, before, name)
            assert members(browser, before) == name
    assert not (project.folder / "tokens").exists()
    project.add_latchkey()
    with project.served() as server:
        yield Move(browsers, server)


def test_a_signed_in_user_is_answered_at_the_first_request_and_gets_tokens(move):
    browser = move.browsers["alone"]
    assert {ACCESS, REFRESH}.isdisjoint(browser.cookies)
    answer = browser.get(move.server, "/members")
    assert (answer.status, answer.text) == (200, "members: alone")
    assert {ACCESS, REFRESH} <= set(answer.set)
    assert answer.set[ACCESS]["httponly"]
    assert answer.set[ACCESS]["secure"]
    assert "no-store" in answer.headers["Cache-Control"]
    del browser.cookies["sessionid"], browser.cookies[ACCESS]
    answer = browser.get(move.server, "/members")
    assert (answer.status, answer.text) == (200, "members: alone")
    assert ACCESS in answer.set
    [session] = move.sessions("alone")
    assert (session["device"], session["remember"]) == ("Firefox on Windows", True)


def test_several_parallel_first_requests_open_one_session(move):
    tabs = [move.browsers["parallel"].copy() for _ in range(8)]
    with ThreadPoolExecutor(len(tabs)) as pool:
        served = list(pool.map(lambda tab: members(tab, move.server), tabs))
    assert served == ["parallel"] * len(tabs)
    assert len(move.sessions("parallel")) == 1
    assert [members(tab, move.server) for tab in tabs] == ["parallel"] * len(tabs)


def test_latchkey_can_be_added_to_a_project_that_has_our_users_already(tmp_path, request):
    """The users of `accounts` have UUIDs as keys, and e-mail addresses as names."""
    url = database_url("postgresql", tmp_path, request)
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "DATABASE_URL": url, "USERS": "accounts.User"})
    project.manage("migrate")
    browser = Browser(SITE)
    make = "from accounts.models import User\nresult = str(User.objects.create_user('ada@example.org', password).pk)"
    with project.served() as before:
        pk = before.do(make, password=PASSWORD)
        sign_in(browser, before, "ada@example.org")
    project.add_latchkey()
    with project.served() as after:
        assert browser.get(after, "/who").json() == {"pk": pk}
        assert members(browser, after) == "ada@example.org"
        assert {ACCESS, REFRESH} <= set(browser.cookies)


SUITES = {
    "before": ("sqlite", {}, False),
    "after": ("sqlite", {}, True),
    "after, on PostgreSQL": ("postgresql", {}, True),
    "after, with the users of accounts": ("postgresql", {"USERS": "accounts.User"}, True),
    "after, without ATOMIC_REQUESTS and with LoginRequiredMiddleware": (
        "sqlite",
        {"NOT_ATOMIC": "yes", "LOGIN_REQUIRED": "yes"},
        True,
    ),
}


IN_CI = ("after", "after, on PostgreSQL")


@pytest.mark.parametrize(
    ("name", "settings", "with_latchkey"),
    [pytest.param(*SUITES[id], id=id, marks=[] if id in IN_CI else pytest.mark.exhaustive) for id in SUITES],
)
def test_the_project_s_own_tests_pass(name, settings, with_latchkey, tmp_path, request):
    project = Project(tmp_path / "site", {"DATABASE_URL": database_url(name, tmp_path, request), **settings})
    if with_latchkey:
        project.add_latchkey(migrate=False)
    run_own_tests(project, with_latchkey)


def run_own_tests(project: Project, with_latchkey: bool) -> None:
    suites = ["shop.tests", *(["shop.latchkey_tests"] if with_latchkey else [])]
    printed = project.manage("test", "--no-input", *suites)
    assert re.search(r"^Ran [1-9]\d tests", printed, re.MULTILINE)
    assert "System check identified no issues" in printed


@pytest.mark.parametrize("users", ["auth.User", "accounts.User"])
def test_the_project_has_no_migration_to_make(users, tmp_path):
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "USERS": users})
    project.add_latchkey(migrate=False)
    assert "No changes" in project.manage("makemigrations", "--check", "--dry-run")


def test_the_deployment_checks_report_only_what_the_project_itself_does(tmp_path):
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "CACHE_URL": "redis://localhost:6379"})
    project.add_latchkey(migrate=False)
    printed = project.manage("check", "--deploy")
    # The settings of startproject lack HSTS and redirects to https, and the project believes every client's scheme.
    assert set(re.findall(r"\((\w+\.[A-Z]\d+)\)", printed)) == {"security.W004", "security.W008", "tokens.W011"}


def test_the_wheel_has_the_name_that_is_free_and_all_files_of_the_apps_and_no_others(wheel):
    assert wheel.name.startswith("django_latchkey-")
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for app in ("accounts", "factors", "tokens") for path in (ROOT / app).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file() and "config" not in path.parts]
    pages = {f"accounts/{path.relative_to(ROOT)}" for path in templates}
    assert expected | pages == {name for name in inside if ".dist-info/" not in name}
    for app in ("accounts", "factors", "tokens"):
        assert {f"{app}/py.typed", f"{app}/migrations/0001_initial.py"} <= inside
    assert "tokens/templates/admin/tokens/revoke_user.html" in inside


def test_the_project_works_with_the_installed_wheel(wheel, tmp_path):
    python, packages = installed_wheel(wheel, tmp_path / "venv")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "USERS": "accounts.User"}
    project = Project(tmp_path / "site", settings, python)
    project.add_latchkey(migrate=False)
    assert not (project.folder / "tokens").exists()
    run_own_tests(project, with_latchkey=True)
    page = "from django.template.loader import get_template; print(get_template('accounts/sign_in.html').origin.name)"
    assert str(packages / "accounts") in project.manage("shell", "-c", page)


OWN_ENTRIES = (
    "# and the entries that you have",
    "**REST_FRAMEWORK,",
    'AUTHENTICATION_BACKENDS += ["allauth.account.auth_backends.AuthenticationBackend"]',
)
"""Where the project keeps what it has, and the comment of the guide that says so."""


def test_the_project_is_changed_exactly_as_the_guides_say():
    pasted = ("settings.py", "settings.py, with views of REST framework", "urls.py")
    steps = [(first, one.body) for first, one in blocks() if first in pasted]
    for name in ("settings.py", "urls.py"):
        said = "\n".join(text for first, text in steps if first.startswith(name))
        switched = (SOURCE / "project" / name).read_text().split('if "WITH_LATCHKEY" in os.environ:\n')[1]
        assert lines(switched) == lines(said)


def lines(code: str) -> list[str]:
    return [line for line in textwrap.dedent(code).splitlines() if line and line.strip() not in OWN_ENTRIES]
