"""The first run of a new checkout: real `manage.py` processes, in a copy of the project without `.env` and database."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured

from config.demo import first_run
from tests.databases import start_server
from tests.programs import free_port

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
PROJECT = ("manage.py", "config", "accounts", "factors", "tokens", "templates", "pyproject.toml")
TIMEOUT = 120
"""Seconds after which a process is considered stuck. No test depends on how long anything takes."""
SECRET = "a secret for tests that is long enough to be taken for a real one"
PRODUCTION = {"SECRET_KEY": SECRET, "ORIGIN": "https://example.org"}
DEVELOPMENT = {"SECRET_KEY": SECRET, "DEBUG": "true"}
PASSWORD = "latchkey-demo"
DEMO = "demo@latchkey.test"


def copy(to: Path) -> Path:
    to.mkdir()
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name)
        else:
            shutil.copy2(source, to / name)
    return to


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project without `.env` and database. In the developer's own copy both may hide a mistake."""
    return copy(tmp_path / "checkout")


def environment(checkout: Path, **variables: str) -> dict[str, str]:
    """Return an environment that has only PATH in common with ours. A variable of ours could hide a missing one."""
    return {"PATH": os.environ["PATH"], "HOME": str(checkout), "LANG": "C.UTF-8", "PYTHONUTF8": "1", **variables}


def manage(checkout: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> Any:
    return subprocess.run(
        [sys.executable, str(checkout / "manage.py"), *arguments],
        cwd=cwd or checkout,
        env=environment(checkout, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def assert_is_one_clear_line(finished: Any, *fragments: str) -> None:
    """Check that a process has exited with status 1 and one line of error, with these texts and without a password."""
    assert finished.returncode == 1, finished
    [line] = finished.stderr.splitlines()
    assert re.match("(error|CommandError|Error): .", line)
    assert [fragment for fragment in fragments if fragment not in line] == []
    assert "hunter2" not in line


def assert_fails_without_traceback(finished: Any, text: str, status: int = 1) -> None:
    assert (finished.returncode, text in finished.stderr) == (status, True), finished.stderr
    assert "Traceback" not in finished.stderr


class Site:
    """A server process and one browser. ``output``: what the server has printed."""

    def __init__(self, checkout: Path, *arguments: str, port: int, **variables: str) -> None:
        self.port = port
        self.url = f"http://localhost:{port}"
        self._log = checkout.parent / f"{port}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=checkout,
                env=environment(checkout, **variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.browser = requests.Session()

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait(self) -> "Site":
        """Return when the server accepts connections."""
        for _ in range(TIMEOUT * 10):
            assert self._process.poll() is None, self.output
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(self.output)

    def stop(self) -> None:
        """Kill the server. What it has acknowledged must be on disk."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(TIMEOUT)

    def ask(self, path: str, data: Any = None, *, form: bool = False, **headers: str) -> tuple[int, str]:
        """GET, or POST the data as JSON or as a form; return the status and the text."""
        body = {} if data is None else {"data" if form else "json": data}
        method = "POST" if body else "GET"
        answer = self.browser.request(method, self.url + path, headers=headers, timeout=TIMEOUT, **body)
        return answer.status_code, answer.text

    def sign_in(self) -> None:
        status, text = self.ask("/api/auth/login", {"email": DEMO, "password": PASSWORD, "remember": True})
        assert status == 200, text

    def session_id(self) -> str:
        return str(json.loads(self.ask("/api/auth/me")[1])["session"]["id"])


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """A function that starts a server. Without this fixture the server would keep running after a failed test."""
    sites: list[Site] = []

    def start(checkout: Path, *arguments: str, port: int, **variables: str) -> Site:
        site = Site(checkout, *arguments, port=port, **variables)
        sites.append(site)
        return site.wait()

    yield start
    for site in sites:
        site.stop()


@pytest.fixture
def port() -> int:
    """A free port. With a fixed one, two tests at the same time would reach each other's server."""
    return free_port()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port in use. `demo` ends there, after it has written `.env`, so no test has to stop its server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.env` of a first run and a migrated database, made once because migrating takes seconds."""
    checkout = copy(tmp_path_factory.mktemp("first-run") / "checkout")
    (checkout / ".env").write_text(f"DEBUG=true\nSECRET_KEY={SECRET}\n")
    finished = manage(checkout, "migrate", "--verbosity=0")
    assert (finished.returncode, finished.stderr) == (0, ""), finished
    return checkout


@pytest.fixture
def after_the_first_run(migrated: Path, tmp_path: Path) -> Path:
    """A copy of `migrated`. On the original, one test would see the changes of another."""
    return shutil.copytree(migrated, tmp_path / "checkout")


@pytest.fixture(scope="module")
def old(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `migrated` whose database has no migration of `tokens`."""
    checkout = shutil.copytree(migrated, tmp_path_factory.mktemp("old") / "checkout")
    assert manage(checkout, "migrate", "tokens", "zero", "--verbosity=0").returncode == 0
    return checkout


@pytest.fixture
def with_an_old_database(old: Path, tmp_path: Path) -> Path:
    """A copy of `old`. On the original, one test would see that another has migrated it."""
    return shutil.copytree(old, tmp_path / "checkout")


# The demo and Django's own commands work


def test_the_first_run_creates_all_that_is_needed_and_the_second_keeps_it(checkout, port, serve):
    site = serve(checkout, "demo", f"--port={port}", port=port)
    for text in (site.url, f"{site.url}/demo", DEMO, "admin@latchkey.test", PASSWORD):
        assert text in site.output
    written = (checkout / ".env").read_text()
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert re.search("^DEBUG=true$", written, re.MULTILINE)
    [secret] = re.findall("^SECRET_KEY=(.+)$", written, re.MULTILINE)
    assert len(secret) >= 50
    assert "django-insecure" not in secret
    assert (checkout / "latchkey.sqlite3").read_bytes()[:15] == b"SQLite format 3"

    assert 'type="password"' in site.ask("/")[1]
    site.sign_in()
    assert f"You are signed in as {DEMO}" in site.ask("/")[1]
    assert 'id="demo"' in site.ask("/demo")[1]
    session = site.session_id()
    site.stop()

    again = serve(checkout, "demo", "--port", str(port), port=port)
    again.browser = site.browser
    assert (checkout / ".env").read_text() == written
    status, text = again.ask("/api/auth/refresh", {})
    assert (status, json.loads(text)["session"]["id"], again.session_id()) == (200, session, session)

    listed = manage(checkout, "list_sessions", "--json", cwd=checkout.parent)
    assert (listed.returncode, listed.stderr[:19]) == (0, "1 session listed in")
    [row] = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (row["id"], row["user"], row["generation"]) == (session, DEMO, 1)


def test_the_administrator_signs_in_with_the_form_and_revokes_a_session_in_the_admin(after_the_first_run, port, serve):
    site = serve(after_the_first_run, "demo", port=port, PORT=str(port))
    own = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}

    def post(page: str, path: str, **fields: Any) -> tuple[int, str]:
        [token] = set(re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', site.ask(page)[1])) or {""}
        return site.ask(path, {**fields, "csrfmiddlewaretoken": token}, form=True, **own)

    status, text = post("/", "/sign-in", username="admin@latchkey.test", password=PASSWORD)
    assert (status, "You are signed in as admin@latchkey.test" in text) == (200, True)
    [row] = manage(after_the_first_run, "list_sessions", "--json").stdout.splitlines()
    sessions = "/admin/tokens/refreshtoken/"
    status, text = post(
        sessions, sessions, action="revoke_selected", _selected_action=json.loads(row)["id"], confirmed="yes"
    )
    assert "Log in" in text, "It was the administrator's own session."
    assert manage(after_the_first_run, "list_sessions", "--json").stdout == ""


class TestTheFileOfTheFirstRun:
    """`manage.py demo` calls this function first. Other tests show what the command prints if it fails."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A place for `.env`, in an environment without settings. Those of the tests would take the place of a file."""
        monkeypatch.setattr(first_run, "ENV_FILE", tmp_path / ".env")
        for name in ("DEBUG", "SECRET_KEY", "DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)
        return tmp_path / ".env"

    def test_has_another_secret_each_time(self, file):
        texts = set()
        for _ in range(2):
            first_run.prepare([])
            texts.add(file.read_text())
            file.unlink()
        assert len(texts) == 2

    def test_that_is_there_stays_as_it_is(self, file):
        file.write_text(mine := f"# mine\nDEBUG=on\nSECRET_KEY={SECRET}\n")
        first_run.prepare([])
        assert file.read_text() == mine

    def test_is_not_written_if_the_environment_has_a_secret(self, file, monkeypatch):
        for name, value in DEVELOPMENT.items():
            monkeypatch.setenv(name, value)
        first_run.prepare([])
        assert not file.exists()

    def test_is_named_if_it_cannot_be_written(self, file):
        file.symlink_to("/nonexistent/directory/env")
        with pytest.raises(ImproperlyConfigured, match=r"\.env cannot be written"):
            first_run.prepare([])


def test_the_demo_and_later_commands_use_postgresql_if_the_environment_names_it(checkout, port, serve):
    url, server = start_server()
    try:
        site = serve(checkout, "demo", f"--port={port}", port=port, DATABASE_URL=url)
        site.sign_in()
        assert not (checkout / "latchkey.sqlite3").exists()
        listed = manage(checkout, "list_sessions")
        assert (listed.returncode, listed.stderr[:19]) == (0, "1 session listed in")
        assert DEMO in listed.stdout
        assert manage(checkout, "revoke_sessions", "--all", "--no-input").stdout.startswith("1 session revoked in ")
        site.stop()
    finally:
        server.cleanup()


def test_djangos_own_server_works_after_the_first_run(after_the_first_run, port, serve):
    site = serve(after_the_first_run, "runserver", str(port), port=port, PORT=str(port))
    assert 'type="password"' in site.ask("/")[1]


@pytest.mark.parametrize("command", ["check", "purge_tokens", "makemigrations --check"])
def test_every_command_works_after_the_first_run_with_nothing_else_set(command, after_the_first_run):
    finished = manage(after_the_first_run, *command.split())
    errors = [line for line in finished.stderr.splitlines() if " logger=tokens event=purged " not in line]
    assert (finished.returncode, errors) == (0, []), finished


def test_the_demo_migrates_an_old_database(with_an_old_database, port, serve):
    serve(with_an_old_database, "demo", f"--port={port}", port=port).sign_in()


# Mistakes of the operator are reported in one line

UNREADABLE = ("DATABASE_URL cannot be read",)
UNUSABLE = ("the database cannot be used", "Check DATABASE_URL")
NO_SERVER, NO_FOLDER = "postgres://user@127.0.0.1:{free}/name", "sqlite:////nonexistent/directory/latchkey.sqlite3"
AWAY = ("the database cannot be used", "DATABASE_URL")
MIGRATE = ("the database is not up to date", "manage.py migrate")
WRONG_URLS = {
    "garbage": UNREADABLE,
    "": UNREADABLE,
    "nothing://user:hunter2@localhost/name": UNREADABLE,
    "mysql://user:hunter2@localhost/name": UNREADABLE,
    "postgres://user:hunter2@localhost:port/name": UNREADABLE,
    "postgres://user:hunter2@127.0.0.1:{free}/name": UNUSABLE,
    NO_FOLDER: UNUSABLE,
    "sqlite:///{no_database}": UNUSABLE,
    "sqlite://latchkey.sqlite3": UNREADABLE,
}
ASK_FOR_SESSIONS = ("list_sessions", "purge_tokens --dry-run", "revoke_sessions --all --no-input")
MISTAKES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    # the command, its environment beside DEVELOPMENT, what the line contains
    "the port is taken": ("demo --port={taken}", {}, ("port {taken} cannot be used", "--port")),
    "PORT is taken": ("demo", {"PORT": "{taken}"}, ("port {taken} cannot be used", "--port")),
    "--port overrides PORT": ("demo --port {taken}", {"PORT": "8000"}, ("port {taken} ",)),
    **{
        f"port {number}": (f"demo --port={number}", {}, (f"{number} is not a port",))
        for number in ("0", "65536", "99999999999999999999")
    },
    **{
        f"PORT is no number: {command}": (command, {"PORT": "http"}, ("PORT is not a whole number",))
        for command in ("demo", "check")
    },
    "SECRET_KEY is empty": ("check", {"SECRET_KEY": ""}, ("SECRET_KEY is not set",)),
    "ORIGIN is missing in production": ("check", {"DEBUG": ""}, ("ORIGIN is not set",)),
    **{
        f"DATABASE_URL={url}": ("list_sessions", {"DATABASE_URL": url}, fragments)
        for url, fragments in WRONG_URLS.items()
    },
    **{
        f"REPLICA_URL={url}": ("list_sessions", {"REPLICA_URL": url}, ("REPLICA_URL cannot be read",))
        for url in ("garbage", "sqlite:////tmp/replica.sqlite3", "mysql://user:hunter2@localhost/name")
    },
    **{
        f"no database for {command}: {url}": (command, {"DATABASE_URL": url}, AWAY)
        for command in ("demo --port={free}", "migrate", "runserver", "runserver --noreload")
        for url in (NO_SERVER, NO_FOLDER)
    },
    **{
        f"no migrations for {command}": (command, {}, MIGRATE)
        for command in (*ASK_FOR_SESSIONS, f"changepassword {DEMO}", "runserver", "runserver --noreload")
    },
}


SHORT = (
    *("the port is taken", "--port overrides PORT", "port 65536", "PORT is no number: check", "SECRET_KEY is empty"),
    *("ORIGIN is missing in production", "DATABASE_URL=mysql://user:hunter2@localhost/name"),
    *("DATABASE_URL=sqlite:///{no_database}", "REPLICA_URL=garbage", f"no database for migrate: {NO_SERVER}"),
    *(f"no database for runserver: {NO_SERVER}", "no migrations for list_sessions", "no migrations for runserver"),
)
"""The mistakes that are always made. Each needs a process of its own, and the others are of the same kinds."""


@pytest.mark.parametrize(
    ("command", "variables", "fragments"),
    [
        pytest.param(*given, id=name, marks=() if name in SHORT else pytest.mark.exhaustive)
        for name, given in MISTAKES.items()
    ],
)
def test_a_mistake_is_reported_in_one_line_without_passwords(command, variables, fragments, checkout, port, taken_port):
    def filled(text: str) -> str:
        return text.format(free=port, taken=taken_port, no_database=checkout / "manage.py")

    given = DEVELOPMENT | {name: filled(value) for name, value in variables.items()}
    finished = manage(checkout, *filled(command).split(), **given)
    assert_is_one_clear_line(finished, *map(filled, fragments))
    # This command of Django's prints a list of the missing migrations, too.
    assert finished.stdout == "" or command.startswith("changepassword")


def test_a_port_taken_on_every_address_is_taken(checkout):
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert_is_one_clear_line(manage(checkout, "demo", f"--port={taken}"), f"port {taken} cannot be used")


def test_djangos_own_server_reports_a_taken_port_in_one_line_too(after_the_first_run, taken_port):
    finished = manage(after_the_first_run, "runserver", str(taken_port), "--noreload")
    assert_is_one_clear_line(finished, "That port is already in use.")


@pytest.mark.parametrize("arguments", ["--port", "--port=http"])
def test_a_port_that_is_no_number_is_reported_with_its_option(arguments, checkout):
    assert_fails_without_traceback(manage(checkout, "demo", *arguments.split()), "argument --port", status=2)


def test_a_missing_secret_in_production_is_one_line(checkout):
    assert_is_one_clear_line(manage(checkout, "runserver", ORIGIN="https://example.org"), "SECRET_KEY is not set")
    assert not (checkout / ".env").exists()


@pytest.mark.parametrize("origin", ["https://[", "http://example.org"])
def test_an_invalid_origin_is_reported_without_a_traceback(origin, checkout):
    assert_fails_without_traceback(manage(checkout, "check", SECRET_KEY=SECRET, ORIGIN=origin), "ORIGIN is no")


def test_a_weak_secret_in_production_is_refused_without_a_traceback(checkout):
    finished = manage(checkout, "check", **PRODUCTION | {"SECRET_KEY": "x" * 20})
    assert_fails_without_traceback(finished, "tokens.E008")


@pytest.mark.parametrize("variables", [{"DEBUG": "false"}, {"DEBUG": "", **PRODUCTION}], ids=["off", "production"])
def test_the_demo_refuses_with_debug_off_and_leaves_nothing_behind(variables, checkout, port):
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={port}", **variables), "DEBUG", "password")
    assert not (checkout / ".env").exists()
    assert not list(checkout.glob("*.sqlite3"))


def test_the_demo_refuses_if_the_env_turns_debug_off(checkout, port):
    (checkout / ".env").write_text(f"SECRET_KEY={SECRET}\nORIGIN=https://example.org\n")
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={port}"), "DEBUG", "password")
    assert not list(checkout.glob("*.sqlite3"))


def test_one_migration_that_is_missing_is_noticed_by_the_server(with_an_old_database):
    assert_is_one_clear_line(manage(with_an_old_database, "runserver", "--noreload"), *MIGRATE)


def test_a_bug_in_the_code_still_has_its_traceback(checkout):
    settings = checkout / "config" / "settings.py"
    settings.write_text(settings.read_text() + "\nint('an error of ours')\n")
    finished = manage(checkout, "check", **DEVELOPMENT)
    assert (finished.returncode, "Traceback" in finished.stderr) == (1, True)
