"""An existing Django project adds Latchkey by the README's steps, and every signed-in user stays signed in.

The project (``existing_project``) is served by separate processes, before and after, on either database. Its own tests,
which know nothing of Latchkey, pass before and after.
"""

import re
import subprocess
import sys
import sysconfig
import textwrap
import time
import venv
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
from tests.clients.projects import IN_PRODUCTION, ROOT, SOURCE, Browser, Project, Server
from tests.databases import NAMES, start_server
from tests.settings import PG_URL

SITE = "https://your.site"
PASSWORD = "correct horse battery staple"
NEW = "quite another passphrase"
AFTER_A_SECOND = 1.1
"""Seconds after which the tokens of `Move.hasty` have expired, and another process has learned of a revocation."""

MAKE_USERS = """
from django.contrib.auth import get_user_model
for name in users:
    get_user_model().objects.create_user(name, f"{name}@example.org", password)
"""
CHANGE_USERS = """
from django.contrib.auth import get_user_model
user = get_user_model().objects.get(username="changed")
user.set_password(new)
user.save()
get_user_model().objects.filter(username="disabled").update(is_active=False)
"""
SESSIONS = """
from tokens.models import RefreshToken
result = [
    {"id": row.id, "device": row.device.name, "remember": row.remember, "reason": row.revoked_reason}
    for row in RefreshToken.objects.filter(user__username=name).select_related("device").order_by("created_at")
]
"""
REVOKE = """
from tokens.models import RefreshToken
from tokens.service.revocation import revoke_all
revoke_all(RefreshToken.objects.filter(user__username=name), RefreshToken.Reason.ENDED_BY_STAFF)
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


def sign_in(browser: Browser, server: Server, name: str, password: str = PASSWORD) -> Browser:
    """Sign in by the project's own page."""
    answer = browser.post_form(server, "/auth/login/", username=name, password=password)
    assert answer.status == 302, answer.text
    return browser


def sign_in_by_allauth(browser: Browser, server: Server, name: str) -> Browser:
    answer = browser.post_form(server, "/accounts/login/", login=name, password=PASSWORD)
    assert answer.status == 302, answer.text
    return browser


def members(browser: Browser, server: Server) -> str | None:
    """Return the user's name from the page for members, or None if it redirects to the sign-in."""
    answer = browser.get(server, "/members")
    assert answer.status in {200, 302}, answer.text
    return answer.text.removeprefix("members: ") if answer.status == 200 else None


@dataclass
class Move:
    """The project after it has added Latchkey.

    ``browsers``: those in which a user signed in before that, by the user's name. ``hasty``: another process of the
    project, whose access tokens expire after a second.
    """

    project: Project
    browsers: dict[str, Browser]
    server: Server
    hasty: Server

    def sessions(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.do(SESSIONS, name=name)
        return found

    def new_user(self) -> str:
        name = f"user{uuid4().hex[:8]}"
        self.server.do(MAKE_USERS, users=[name], password=PASSWORD)
        return name


EARLY = ["first", "parallel", "expired", "revoked", "changed", "disabled", "posting", "failing", "calling", "crossed"]


@pytest.fixture(scope="module", params=NAMES)
def move(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    """The move: users sign in by Django's sessions, the server stops, Latchkey is added, the server starts again."""
    folder = tmp_path_factory.mktemp("move")
    url = database_url(request.param, folder, request)
    project = Project(folder / "site", {**IN_PRODUCTION, "DATABASE_URL": url})
    project.manage("migrate")
    browsers = {name: Browser(SITE) for name in [*EARLY, "brief", "visitor"]}
    with project.served() as before:
        before.do(MAKE_USERS, users=[*EARLY, "brief"], password=PASSWORD)
        for name in EARLY:
            sign_in(browsers[name], before, name)
            assert members(browsers[name], before) == name
        sign_in_by_allauth(browsers["brief"], before, "brief")
        browsers["visitor"].get(before, "/auth/login/")
        assert browsers["visitor"].post_form(before, "/greet", name="Visitor").status == 302
        before.do(CHANGE_USERS, new=NEW)
    assert not (project.folder / "tokens").exists()
    project.add_latchkey()
    modes = {"TOKENS_MODES": "cookie,body"}
    with project.served(**modes) as server, project.served(**modes, TOKENS_ACCESS_LIFETIME="1") as hasty:
        yield Move(project, browsers, server, hasty)


class TestAUserWhoSignedInByDjangosSessions:
    def test_is_answered_at_the_first_request_and_gets_tokens(self, move):
        browser = move.browsers["first"]
        assert {ACCESS, REFRESH}.isdisjoint(browser.cookies)
        answer = browser.get(move.server, "/members")
        assert (answer.status, answer.text) == (200, "members: first")
        assert {ACCESS, REFRESH} <= set(answer.set)
        assert answer.set[ACCESS]["httponly"]
        assert answer.set[ACCESS]["secure"]
        assert "no-store" in answer.headers["Cache-Control"]
        [session] = move.sessions("first")
        assert (session["device"], session["remember"]) == ("Firefox on Windows", True)

    def test_does_not_need_djangos_session_any_more(self, move):
        browser = sign_in(Browser(SITE), move.server, move.new_user())
        del browser.cookies["sessionid"]
        assert members(browser, move.server)
        assert members(browser, move.hasty)

    def test_gets_one_session_from_several_parallel_first_requests(self, move):
        tabs = [move.browsers["parallel"].copy() for _ in range(8)]
        with ThreadPoolExecutor(len(tabs)) as pool:
            served = list(pool.map(lambda tab: members(tab, move.server), tabs))
        assert served == ["parallel"] * len(tabs)
        assert len(move.sessions("parallel")) == 1
        assert [members(tab, move.hasty) for tab in tabs] == ["parallel"] * len(tabs)

    def test_does_not_notice_when_the_access_token_expires(self, move):
        browser = move.browsers["expired"]
        assert members(browser, move.hasty) == "expired"
        time.sleep(AFTER_A_SECOND)
        answer = browser.get(move.hasty, "/members")
        assert answer.status == 200
        assert ACCESS in answer.set
        assert len(move.sessions("expired")) == 1

    def test_is_signed_out_by_a_revocation_even_with_djangos_cookie(self, move):
        browser = move.browsers["revoked"]
        assert members(browser, move.server) == "revoked"
        move.project.manage("revoke_sessions", "--user", "revoked", "--no-input")
        time.sleep(AFTER_A_SECOND)
        for _ in range(2):
            assert "sessionid" in browser.cookies
            assert members(browser, move.server) is None
            assert members(browser, move.hasty) is None

    @pytest.mark.parametrize("name", ["changed", "disabled"])
    def test_is_signed_out_if_the_password_was_changed_or_the_account_disabled_meanwhile(self, move, name):
        browser = move.browsers[name]
        assert members(browser, move.server) is None
        assert move.sessions(name) == []
        if name == "changed":
            sign_in(browser, move.server, name, NEW)
            assert members(browser, move.server) == name

    def test_may_send_a_form_first(self, move):
        browser = move.browsers["posting"]
        assert browser.post_form(move.server, "/greet", name="Posting").status == 302
        page = browser.get(move.server, "/").text
        assert "Hello, Posting." in page
        assert "signed in as posting" in page
        assert len(move.sessions("posting")) == 1

    def test_gets_tokens_even_if_the_view_fails(self, move):
        browser = move.browsers["failing"]
        answer = browser.get(move.server, "/fails")
        assert answer.status == 500
        assert {ACCESS, REFRESH} <= set(answer.set)
        assert members(browser, move.server) == "failing"
        assert len(move.sessions("failing")) == 1

    def test_may_call_the_api_first(self, move):
        browser = move.browsers["calling"]
        answer = browser.get(move.server, "/api/auth/me")
        assert answer.status == 200, answer.text
        assert answer.json()["user"]["email"] == "calling@example.org"
        assert browser.get(move.server, "/api/me").json() == {"name": "calling"}

    def test_gets_no_tokens_by_a_form_of_another_site(self, move):
        browser = move.browsers["crossed"]
        answer = browser.post_json(move.server, "/api/me", Origin="https://another.site")
        assert answer.status in {401, 403}
        assert move.sessions("crossed") == []
        assert members(browser, move.server) == "crossed"

    def test_is_remembered_only_if_this_was_asked_for_at_the_sign_in(self, move):
        brief = move.browsers["brief"].get(move.server, "/members")
        assert brief.text == "members: brief"
        assert brief.set[ACCESS]["max-age"] == brief.set[REFRESH]["max-age"] == ""
        assert [session["remember"] for session in move.sessions("brief")] == [False]

    def test_keeps_the_data_of_a_session_without_a_user(self, move):
        page = move.browsers["visitor"].get(move.server, "/").text
        assert "Hello, Visitor." in page
        assert "a stranger" in page


class TestAllauth:
    @pytest.fixture
    def name(self, move: Move) -> str:
        """A user who has not signed in."""
        return move.new_user()

    def test_a_sign_in_opens_a_session_on_a_device(self, move, name):
        browser = sign_in_by_allauth(Browser(SITE), move.server, name)
        assert {ACCESS, REFRESH} <= set(browser.cookies)
        assert members(browser, move.server) == name
        assert [session["device"] for session in move.sessions(name)] == ["Firefox on Windows"]

    @pytest.mark.parametrize("remember", [True, False])
    def test_remember_me_is_respected(self, move, name, remember):
        fields = {"login": name, "password": PASSWORD, **({"remember": "on"} if remember else {})}
        answer = Browser(SITE).post_form(move.server, "/accounts/login/", **fields)
        assert bool(answer.set[REFRESH]["max-age"]) == bool(answer.set[ACCESS]["max-age"]) == remember
        assert [session["remember"] for session in move.sessions(name)] == [remember]

    def test_a_sign_out_ends_the_session(self, move, name):
        browser = sign_in_by_allauth(Browser(SITE), move.server, name)
        late = browser.copy()
        assert browser.post_form(move.server, "/accounts/logout/").status == 302
        assert {ACCESS, REFRESH}.isdisjoint(browser.cookies)
        assert members(browser, move.server) is None
        time.sleep(AFTER_A_SECOND)
        assert members(late, move.hasty) is None
        assert [session["reason"] for session in move.sessions(name)] == ["signed_out"]

    def test_a_registration_signs_in(self, move):
        browser, name = Browser(SITE), f"user{uuid4().hex[:8]}"
        fields = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        assert browser.post_form(move.server, "/accounts/signup/", **fields).status == 302
        assert members(browser, move.server) == name
        assert len(move.sessions(name)) == 1

    def test_a_wrong_password_opens_no_session(self, move, name):
        browser = Browser(SITE)
        assert browser.post_form(move.server, "/accounts/login/", login=name, password="wrong").status == 200
        assert members(browser, move.server) is None
        assert move.sessions(name) == []

    def test_a_change_of_password_keeps_this_session_and_ends_the_others(self, move, name):
        browser, other = (sign_in_by_allauth(Browser(SITE), move.server, name) for _ in range(2))
        fields = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        assert browser.post_form(move.server, "/accounts/password/change/", **fields).status == 302
        time.sleep(AFTER_A_SECOND)
        assert members(browser, move.server) == name
        assert members(browser, move.hasty) == name
        assert members(other, move.hasty) is None


class TestViewsOfRestFramework:
    def test_an_expired_cookie_is_refreshed(self, move):
        name = move.new_user()
        browser = sign_in(Browser(SITE), move.hasty, name)
        time.sleep(AFTER_A_SECOND)
        answer = browser.post_json(move.hasty, "/api/me", Origin=SITE)
        assert (answer.status, answer.json()) == (200, {"name": name})
        assert ACCESS in answer.set

    def test_an_expired_bearer_token_is_distinguished_from_an_ended_session(self, move):
        name = move.new_user()

        def bearer(server: Server) -> dict[str, str]:
            credentials = {"email": name, "password": PASSWORD, "mode": "body"}
            tokens = Browser(SITE).post_json(server, "/api/auth/login", credentials).json()
            return {"Authorization": f"Bearer {tokens['access_token']}"}

        assert Browser(SITE).post_json(move.hasty, "/api/me", **bearer(move.server)).json() == {"name": name}
        brief = bearer(move.hasty)
        time.sleep(AFTER_A_SECOND)
        expired = Browser(SITE).get(move.server, "/api/me", **brief)
        assert (expired.status, expired.json()["code"]) == (401, "token_expired")
        assert expired.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        browser = sign_in(Browser(SITE), move.server, name)
        move.hasty.do(REVOKE, name=name)
        time.sleep(AFTER_A_SECOND)
        ended = browser.get(move.server, "/api/me")
        assert (ended.status, ended.json()["code"]) == (401, "session_ended")

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [("/api/auth/me", 401, "not_authenticated"), ("/api/nothing", 404, "not_found")],
    )
    def test_the_project_s_own_paths_under_api_and_latchkey_s_both_answer(self, move, path, status, code):
        answer = Browser(SITE).get(move.server, path)
        assert (answer.status, answer.json()["code"]) == (status, code)


def test_in_development_latchkey_can_be_added_too(tmp_path):
    project = Project(tmp_path / "site", {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"})
    project.manage("migrate")
    browser = Browser("http://localhost:8000")
    with project.served() as before:
        before.do(MAKE_USERS, users=["ada"], password=PASSWORD)
        sign_in(browser, before, "ada")
    project.add_latchkey()
    with project.served() as after:
        answer = browser.get(after, "/members")
        assert answer.text == "members: ada"
        assert {"access", "refresh"} <= set(answer.set)
        assert not answer.set["access"]["secure"]
        assert members(browser, after) == "ada"


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


@pytest.mark.parametrize(("name", "settings", "with_latchkey"), SUITES.values(), ids=SUITES)
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


def test_the_deployment_checks_report_nothing_about_latchkey(tmp_path):
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "CACHE_URL": "redis://localhost:6379"})
    project.add_latchkey(migrate=False)
    printed = project.manage("check", "--deploy")
    # The settings of startproject lack HSTS and redirects to https.
    assert set(re.findall(r"\((\w+\.[A-Z]\d+)\)", printed)) == {"security.W004", "security.W008"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that ``pip install`` of this checkout makes. The checkout itself would also have files it lacks."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    [found] = folder.glob("*.whl")
    return found


def test_the_wheel_contains_all_files_of_both_apps(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for app in ("accounts", "tokens") for path in (ROOT / app).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file() and "config" not in path.parts]
    pages = {f"accounts/{path.relative_to(ROOT)}" for path in templates}
    assert expected | pages == {name for name in inside if ".dist-info/" not in name}
    assert {"tokens/migrations/0001_initial.py", "tokens/templates/admin/tokens/revoke_user.html"} <= inside


def test_the_project_works_with_the_installed_wheel(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    [packages] = (tmp_path / "venv").glob("lib/*/site-packages")
    # pip installs a pure Python wheel by extracting it. The dependencies come from this test run's environment.
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('platlib')}\n{sysconfig.get_path('purelib')}\n")
    python = str(tmp_path / "venv" / "bin" / "python")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "USERS": "accounts.User"}
    project = Project(tmp_path / "site", settings, python)
    project.add_latchkey(migrate=False)
    assert not (project.folder / "tokens").exists()
    run_own_tests(project, with_latchkey=True)
    page = "from django.template.loader import get_template; print(get_template('accounts/sign_in.html').origin.name)"
    assert str(packages / "accounts") in project.manage("shell", "-c", page)


def test_the_project_is_changed_exactly_as_the_readme_says():
    section = (ROOT / "README.md").read_text().split("### In an existing Django project")[1].split("\n## ")[0]
    steps = [textwrap.dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", section, re.DOTALL | re.M)]
    for name in ("settings", "urls"):
        said = [line for step in steps if step.startswith(f"# {name}.py") for line in step.splitlines()[1:] if line]
        text = (SOURCE / "project" / f"{name}.py").read_text()
        switched = text.split('if "WITH_LATCHKEY" in os.environ:\n')[1]
        assert [line for line in textwrap.dedent(switched).splitlines() if line] == said
