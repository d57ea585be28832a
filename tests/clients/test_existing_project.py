"""An existing Django project takes Latchkey in by the README's steps, and nobody who was signed in is signed out.

The project (``existing_project``) is served by processes of its own, before and after, on either database; and its own
tests, which know nothing of Latchkey, pass before and after.
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
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from tests.clients.projects import IN_PRODUCTION, ROOT, SOURCE, Browser, Project, Server
from tests.databases import start_server
from tests.settings import PG_URL

SITE = "https://your.site"
PASSWORD = "correct horse battery staple"
NEW = "quite another passphrase"
ACCESS, REFRESH = "__Host-access", "__Host-refresh"
NAMES = ("sqlite", "postgresql")

MAKE_USERS = """
from django.contrib.auth import get_user_model
for name in users:
    get_user_model().objects.create_user(name, f"{name}@example.org", password)
"""
SESSIONS = """
from tokens.models import RefreshToken
result = [
    {"id": row.id, "device": row.device.name, "remember": row.remember, "reason": row.revoked_reason}
    for row in RefreshToken.objects.filter(user__username=name).select_related("device").order_by("created_at")
]
"""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a server's own database."""
    if PG_URL.startswith("postgres"):
        yield PG_URL
        return
    url, server = start_server()
    yield url
    server.cleanup()


def database_url(name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return the URL of a new, empty database."""
    if name == "sqlite":
        return f"sqlite:///{folder}/db.sqlite3"
    url: str = request.getfixturevalue("postgresql")
    database = f"existing_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")

    def drop() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    request.addfinalizer(drop)
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def sign_in(browser: Browser, server: Server, name: str, password: str = PASSWORD) -> Browser:
    """Sign in by the project's own page."""
    answer = browser.post_form(server, "/auth/login/", username=name, password=password)
    assert answer.status == 302, answer.text
    return browser


def sign_in_by_allauth(browser: Browser, server: Server, name: str, **more: str) -> Browser:
    answer = browser.post_form(server, "/accounts/login/", login=name, password=PASSWORD, **more)
    assert answer.status == 302, answer.text
    return browser


def members(browser: Browser, server: Server) -> str | None:
    """Return who the page for members says that this is, or None where it sends to the sign-in."""
    answer = browser.get(server, "/members")
    assert answer.status in {200, 302}, answer.text
    return answer.text.removeprefix("members: ") if answer.status == 200 else None


@dataclass
class Move:
    """The project when it has taken Latchkey in. ``browsers``: signed in before that, by name of who it is.

    ``hasty``: another process that serves it, with access tokens of a second.
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
    """The move itself: signed in by Django's sessions; stopped; Latchkey taken in; started."""
    folder = tmp_path_factory.mktemp("move")
    url = database_url(request.param, folder, request)
    project = Project(folder / "site", {**IN_PRODUCTION, "DATABASE_URL": url})
    project.manage("migrate")
    browsers = {name: Browser(SITE) for name in [*EARLY, "brief", "stranger"]}
    with project.served() as before:
        before.do(MAKE_USERS, users=[*EARLY, "brief"], password=PASSWORD)
        for name in EARLY:
            sign_in(browsers[name], before, name)
            assert members(browsers[name], before) == name
        sign_in_by_allauth(browsers["brief"], before, "brief")
        browsers["stranger"].get(before, "/auth/login/")
        assert browsers["stranger"].post_form(before, "/greet", name="Stranger").status == 302
        # Meanwhile:
        before.do(
            "from django.contrib.auth import get_user_model\n"
            "user = get_user_model().objects.get(username='changed')\nuser.set_password(new)\nuser.save()\n"
            "get_user_model().objects.filter(username='disabled').update(is_active=False)",
            new=NEW,
        )
    assert not (project.folder / "tokens").exists()
    project.take_latchkey_in()
    with ExitStack() as stack:
        server = stack.enter_context(project.served(TOKENS_MODES="cookie,body"))
        hasty = stack.enter_context(project.served(TOKENS_MODES="cookie,body", TOKENS_ACCESS_LIFETIME="1"))
        yield Move(project, browsers, server, hasty)


class TestWhoWasSignedInByDjangosSessions:
    def test_is_served_at_the_first_request_and_gets_tokens(self, move):
        browser = move.browsers["first"]
        assert {ACCESS, REFRESH}.isdisjoint(browser.cookies)
        answer = browser.get(move.server, "/members")
        assert (answer.status, answer.text) == (200, "members: first")
        assert {ACCESS, REFRESH} <= set(answer.set)
        assert answer.set[ACCESS]["httponly"]
        assert answer.set[ACCESS]["secure"]
        assert "no-store" in answer.headers["Cache-Control"]
        [session] = move.sessions("first")
        assert session["device"] == "Firefox on Windows"

    def test_needs_djangos_session_no_more(self, move):
        browser = sign_in(Browser(SITE), move.server, move.new_user())
        del browser.cookies["sessionid"]
        assert members(browser, move.server)
        assert members(browser, move.hasty)

    def test_is_moved_over_once_by_several_first_requests_at_once(self, move):
        tabs = [move.browsers["parallel"].copy() for _ in range(8)]
        with ThreadPoolExecutor(len(tabs)) as pool:
            served = list(pool.map(lambda tab: members(tab, move.server), tabs))
        assert served == ["parallel"] * len(tabs)
        assert len(move.sessions("parallel")) == 1
        assert [members(tab, move.hasty) for tab in tabs] == ["parallel"] * len(tabs)

    def test_is_refreshed_unseen_when_the_access_token_has_expired(self, move):
        browser = move.browsers["expired"]
        assert members(browser, move.hasty) == "expired"
        time.sleep(1.1)
        answer = browser.get(move.hasty, "/members")
        assert answer.status == 200
        assert ACCESS in answer.set
        assert len(move.sessions("expired")) == 1

    def test_is_out_once_revoked_whatever_djangos_cookie_says(self, move):
        browser = move.browsers["revoked"]
        assert members(browser, move.server) == "revoked"
        move.project.manage("revoke_sessions", "--user", "revoked", "--no-input")
        time.sleep(1.1)
        for _ in range(2):
            assert "sessionid" in browser.cookies
            assert members(browser, move.server) is None
            assert members(browser, move.hasty) is None

    def test_is_not_moved_over_if_the_password_was_changed_meanwhile(self, move):
        browser = move.browsers["changed"]
        assert members(browser, move.server) is None
        assert move.sessions("changed") == []
        sign_in(browser, move.server, "changed", NEW)
        assert members(browser, move.server) == "changed"

    def test_is_not_moved_over_if_switched_off_meanwhile(self, move):
        assert members(move.browsers["disabled"], move.server) is None
        assert move.sessions("disabled") == []

    def test_may_come_with_a_form_first(self, move):
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

    def test_is_not_moved_over_by_a_form_of_another_site(self, move):
        browser = move.browsers["crossed"]
        answer = browser.post_json(move.server, "/api/me", Origin="https://another.site")
        assert answer.status in {401, 403}
        assert move.sessions("crossed") == []
        assert members(browser, move.server) == "crossed"

    def test_stays_for_as_long_as_was_asked_for_at_the_sign_in(self, move):
        brief = move.browsers["brief"].get(move.server, "/members")
        assert brief.text == "members: brief"
        assert brief.set[ACCESS]["max-age"] == brief.set[REFRESH]["max-age"] == ""
        assert [session["remember"] for session in move.sessions("brief")] == [False]
        move.browsers["first"].get(move.server, "/members")
        assert [session["remember"] for session in move.sessions("first")] == [True]

    def test_keeps_what_a_stranger_had_in_the_session(self, move):
        page = move.browsers["stranger"].get(move.server, "/").text
        assert "Hello, Stranger." in page
        assert "a stranger" in page


class TestAllauth:
    def test_sign_in_opens_a_session_on_a_device(self, move):
        name = move.new_user()
        browser = sign_in_by_allauth(Browser(SITE), move.server, name)
        assert {ACCESS, REFRESH} <= set(browser.cookies)
        assert members(browser, move.server) == name
        [session] = move.sessions(name)
        assert session["device"] == "Firefox on Windows"

    @pytest.mark.parametrize("remember", [True, False])
    def test_remember_me_is_honoured(self, move, remember):
        name = move.new_user()
        fields = {"login": name, "password": PASSWORD, **({"remember": "on"} if remember else {})}
        answer = Browser(SITE).post_form(move.server, "/accounts/login/", **fields)
        assert bool(answer.set[REFRESH]["max-age"]) == bool(answer.set[ACCESS]["max-age"]) == remember
        assert [session["remember"] for session in move.sessions(name)] == [remember]

    def test_sign_out_ends_the_session(self, move):
        name = move.new_user()
        browser = sign_in_by_allauth(Browser(SITE), move.server, name)
        late = browser.copy()
        assert browser.post_form(move.server, "/accounts/logout/").status == 302
        assert {ACCESS, REFRESH}.isdisjoint(browser.cookies)
        assert members(browser, move.server) is None
        time.sleep(1.1)
        assert members(late, move.hasty) is None
        assert [session["reason"] for session in move.sessions(name)] == ["signed_out"]

    def test_sign_up_signs_in(self, move):
        browser, name = Browser(SITE), f"user{uuid4().hex[:8]}"
        fields = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        assert browser.post_form(move.server, "/accounts/signup/", **fields).status == 302
        assert members(browser, move.server) == name
        assert len(move.sessions(name)) == 1

    def test_wrong_password_opens_nothing(self, move):
        name = move.new_user()
        browser = Browser(SITE)
        assert browser.post_form(move.server, "/accounts/login/", login=name, password="wrong").status == 200
        assert members(browser, move.server) is None
        assert move.sessions(name) == []

    def test_change_of_password_keeps_this_session_and_ends_the_others(self, move):
        name = move.new_user()
        browser = sign_in_by_allauth(Browser(SITE), move.server, name)
        other = sign_in_by_allauth(Browser(SITE), move.server, name)
        fields = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        assert browser.post_form(move.server, "/accounts/password/change/", **fields).status == 302
        time.sleep(1.1)
        assert members(browser, move.server) == name
        assert members(browser, move.hasty) == name
        assert members(other, move.hasty) is None


class TestViewsOfRestFramework:
    def test_strangers_are_told_how_to_sign_in(self, move):
        answer = Browser(SITE).get(move.server, "/api/me")
        assert (answer.status, answer.json()["code"]) == (401, "not_authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_expired_cookies_are_refreshed_unseen(self, move):
        name = move.new_user()
        browser = sign_in(Browser(SITE), move.hasty, name)
        time.sleep(1.1)
        answer = browser.post_json(move.hasty, "/api/me", Origin=SITE)
        assert (answer.status, answer.json()) == (200, {"name": name})
        assert ACCESS in answer.set

    def test_an_expired_bearer_token_is_told_from_an_ended_session(self, move):
        name = move.new_user()

        def bearer(server: Server) -> dict[str, str]:
            credentials = {"email": name, "password": PASSWORD, "mode": "body"}
            tokens = Browser(SITE).post_json(server, "/api/auth/login", credentials).json()
            return {"Authorization": f"Bearer {tokens['access_token']}"}

        assert Browser(SITE).post_json(move.hasty, "/api/me", **bearer(move.server)).json() == {"name": name}
        brief = bearer(move.hasty)
        time.sleep(1.1)
        expired = Browser(SITE).get(move.server, "/api/me", **brief)
        assert (expired.status, expired.json()["code"]) == (401, "token_expired")
        assert expired.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        browser = sign_in(Browser(SITE), move.server, name)
        move.hasty.do(
            "from tokens.models import RefreshToken\nfrom tokens.service.ending import end_all\n"
            "end_all(RefreshToken.objects.filter(user__username=name), RefreshToken.Reason.ENDED_BY_STAFF)",
            name=name,
        )
        time.sleep(1.1)
        ended = browser.get(move.server, "/api/me")
        assert (ended.status, ended.json()["code"]) == (401, "session_ended")

    def test_permissions_are_asked(self, move):
        name = move.new_user()
        browser = sign_in(Browser(SITE), move.server, name)
        for answer in (
            browser.get(move.server, "/api/staff"),
            browser.post_json(move.server, "/api/products/", {"name": "lamp"}),
        ):
            assert (answer.status, answer.json()["code"]) == (403, "permission_denied")
        move.server.do(
            "from django.contrib.auth.models import Permission, User\n"
            "User.objects.get(username=name).user_permissions.add(Permission.objects.get(codename='add_product'))",
            name=name,
        )
        assert browser.post_json(move.server, "/api/products/", {"name": "lamp"}).status == 201

    def test_throttles_count_each_user(self, move):
        busy, other = (sign_in(Browser(SITE), move.server, move.new_user()) for _ in range(2))
        answers = [busy.get(move.server, "/api/scarce") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].json()["code"] == "throttled"
        assert int(answers[-1].headers["Retry-After"]) > 3500
        assert other.get(move.server, "/api/scarce").status == 200

    def test_ones_own_paths_under_api_still_answer(self, move):
        assert Browser(SITE).get(move.server, "/api/auth/me").status == 401
        missing = Browser(SITE).get(move.server, "/api/nothing")
        assert (missing.status, missing.json()["code"]) == (404, "not_found")


def test_in_development_over_plain_http_too(tmp_path):
    project = Project(tmp_path / "site", {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"})
    project.manage("migrate")
    browser = Browser("http://localhost:8000")
    with project.served() as before:
        before.do(MAKE_USERS, users=["ada"], password=PASSWORD)
        sign_in(browser, before, "ada")
    project.take_latchkey_in()
    with project.served() as after:
        answer = browser.get(after, "/members")
        assert answer.text == "members: ada"
        assert {"access", "refresh"} <= set(answer.set)
        assert not answer.set["access"]["secure"]
        assert members(browser, after) == "ada"


def test_both_apps_can_be_taken_in(tmp_path, request):
    """A project whose users are `accounts`', with UUIDs for keys and e-mail addresses for names."""
    url = database_url("postgresql", tmp_path, request)
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "DATABASE_URL": url, "USERS": "accounts.User"})
    project.manage("migrate")
    browser = Browser(SITE)
    make = "from accounts.models import User\nresult = str(User.objects.create_user('ada@example.org', password).pk)"
    with project.served() as before:
        pk = before.do(make, password=PASSWORD)
        sign_in(browser, before, "ada@example.org")
    project.take_latchkey_in()
    with project.served() as after:
        assert browser.get(after, "/who").json() == {"pk": pk}
        assert members(browser, after) == "ada@example.org"
        assert {ACCESS, REFRESH} <= set(browser.cookies)


@pytest.mark.parametrize(
    ("name", "settings", "with_latchkey"),
    [
        pytest.param("sqlite", {}, False, id="before"),
        pytest.param("sqlite", {}, True, id="after"),
        pytest.param("postgresql", {}, True, id="after, on PostgreSQL"),
        pytest.param("postgresql", {"USERS": "accounts.User"}, True, id="with the users of accounts"),
        pytest.param("sqlite", {"NOT_ATOMIC": "yes", "LOGIN_REQUIRED": "yes"}, True, id="with other settings"),
    ],
)
def test_the_projects_own_tests_pass(name, settings, with_latchkey, tmp_path, request):
    """The other settings: without ATOMIC_REQUESTS, and with a middleware that lets no stranger in."""
    project = Project(tmp_path / "site", {"DATABASE_URL": database_url(name, tmp_path, request), **settings})
    if with_latchkey:
        project.take_latchkey_in(migrate=False)
    run_own_tests(project, with_latchkey)


def run_own_tests(project: Project, with_latchkey: bool) -> None:
    suites = ["shop.tests", *(["shop.latchkey_tests"] if with_latchkey else [])]
    printed = project.manage("test", "--no-input", *suites)
    assert re.search(r"^Ran [1-9]\d tests", printed, re.MULTILINE)
    assert "System check identified no issues" in printed


@pytest.mark.parametrize("users", ["auth.User", "accounts.User"])
def test_the_project_has_no_migration_to_make(users, tmp_path):
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "USERS": users})
    project.take_latchkey_in(migrate=False)
    assert "No changes" in project.manage("makemigrations", "--check", "--dry-run")


def test_the_deployment_checks_find_nothing_of_ours(tmp_path):
    project = Project(tmp_path / "site", {**IN_PRODUCTION, "CACHE_URL": "redis://localhost:6379"})
    project.take_latchkey_in(migrate=False)
    printed = project.manage("check", "--deploy")
    # What startproject's settings lack anyway: HSTS, and redirects to https.
    assert set(re.findall(r"\((\w+\.[A-Z]\d+)\)", printed)) == {"security.W004", "security.W008"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that ``pip install`` of this checkout makes, built from what is here, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    [found] = folder.glob("*.whl")
    return found


def test_the_wheel_has_everything_of_both_apps(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for app in ("accounts", "tokens") for path in (ROOT / app).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    pages = {f"accounts/{path.relative_to(ROOT)}" for path in (ROOT / "templates").rglob("*") if path.is_file()}
    assert expected | pages == {name for name in inside if ".dist-info/" not in name}
    assert {"tokens/migrations/0001_initial.py", "tokens/templates/admin/tokens/revoke_user.html"} <= inside


def test_the_project_works_with_the_installed_wheel(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    [packages] = (tmp_path / "venv").glob("lib/*/site-packages")
    # What pip does with a wheel of pure Python; what it leans on is that of this run.
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('platlib')}\n{sysconfig.get_path('purelib')}\n")
    python = str(tmp_path / "venv" / "bin" / "python")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "USERS": "accounts.User"}
    project = Project(tmp_path / "site", settings, python)
    project.take_latchkey_in(migrate=False)
    assert not (project.folder / "tokens").exists()
    run_own_tests(project, with_latchkey=True)
    page = "from django.template.loader import get_template; print(get_template('sign_in.html').origin.name)"
    assert str(packages / "accounts") in project.manage("shell", "-c", page)


def test_what_is_changed_in_the_project_is_what_the_readme_says():
    section = (ROOT / "README.md").read_text().split("### In an existing Django project")[1].split("\n## ")[0]
    steps = [textwrap.dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", section, re.DOTALL | re.M)]
    for name in ("settings", "urls"):
        said = [line for step in steps if step.startswith(f"# {name}.py") for line in step.splitlines()[1:] if line]
        text = (SOURCE / "project" / f"{name}.py").read_text()
        switched = text.split('if "WITH_LATCHKEY" in os.environ:\n')[1]
        assert [line for line in textwrap.dedent(switched).splitlines() if line] == said
