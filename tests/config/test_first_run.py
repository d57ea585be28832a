"""The first run, as a newcomer has it: real processes of `manage.py`, in a bare copy of the checkout."""

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
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from tests.databases import start_server

ROOT = Path(__file__).parents[2]
PROJECT = ("manage.py", "config", "accounts", "tokens", "templates", "pyproject.toml")
TIMEOUT = 120
"""Seconds after which a process hangs. Nothing here depends on how long anything takes."""
SECRET = "a secret for tests that is long enough to be taken for a real one"
PRODUCTION = {"SECRET_KEY": SECRET, "ORIGIN": "https://example.org"}
DEVELOPMENT = {"SECRET_KEY": SECRET, "DEBUG": "true"}
PASSWORD = "latchkey-demo"


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
    """A bare copy: no `.env`, no database, nothing that this machine's own copy has been through."""
    return copy(tmp_path / "checkout")


def environment(checkout: Path, **variables: str) -> dict[str, str]:
    """Nothing of this machine's but what finds programs: its variables must not make a missing one good."""
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


def assert_is_one_clear_line(finished: Any, *named: str) -> None:
    """Exit status 1, and a person knows what to do."""
    assert finished.returncode == 1, finished
    [line] = finished.stderr.splitlines()
    assert re.match("(error|CommandError|Error): .", line)
    for text in named:
        assert text in line


class Site:
    """A server of ours, and one browser. ``said``: what it printed."""

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
        self.browser: OpenerDirector = build_opener(HTTPCookieProcessor(CookieJar()))

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait(self) -> "Site":
        """Return when it answers."""
        for _ in range(TIMEOUT * 10):
            assert self._process.poll() is None, self.said
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise AssertionError(self.said)

    def stop(self) -> None:
        """End it as an impatient person does: whatever was answered must be kept."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(TIMEOUT)

    def ask(self, path: str, data: Any = None, *, form: bool = False, **headers: str) -> tuple[int, str]:
        """GET, or POST the data as JSON or as a form; return the status and the text."""
        if data is not None:
            data = urlencode(data).encode() if form else json.dumps(data).encode()
            headers = {"Content-Type": f"application/{'x-www-form-urlencoded' if form else 'json'}", **headers}
        try:
            with self.browser.open(Request(self.url + path, data, headers), timeout=TIMEOUT) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def sign_in(self, email: str) -> None:
        status, text = self.ask("/api/auth/login", {"email": email, "password": PASSWORD, "remember": True})
        assert status == 200, text


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Starts servers; none of them outlives its test."""
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
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.env` of a first run and a migrated database, without the wait for a server; for copying."""
    checkout = copy(tmp_path_factory.mktemp("first-run") / "checkout")
    (checkout / ".env").write_text(f"DEBUG=true\nSECRET_KEY={SECRET}\n")
    assert manage(checkout, "migrate", "--verbosity=0").returncode == 0
    return checkout


@pytest.fixture
def after_the_first_run(migrated: Path, tmp_path: Path) -> Path:
    """A copy that has been through its first run."""
    return shutil.copytree(migrated, tmp_path / "checkout")


# It works


def test_the_first_run_makes_all_that_is_needed_and_the_second_has_lost_nothing(checkout, port, serve):
    site = serve(checkout, "demo", f"--port={port}", port=port)
    for said in (site.url, f"{site.url}/demo", "demo@latchkey.test", "admin@latchkey.test", PASSWORD):
        assert said in site.said
    written = (checkout / ".env").read_text()
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert re.search("^DEBUG=true$", written, re.MULTILINE)
    [secret] = re.findall("^SECRET_KEY=(.+)$", written, re.MULTILINE)
    assert len(secret) >= 50
    assert "django-insecure" not in secret
    assert (checkout / "latchkey.sqlite3").read_bytes()[:15] == b"SQLite format 3"

    assert 'type="password"' in site.ask("/")[1]
    site.sign_in("demo@latchkey.test")
    assert "You are signed in as demo@latchkey.test" in site.ask("/")[1]
    assert 'id="demo"' in site.ask("/demo")[1]
    session = json.loads(site.ask("/api/auth/me")[1])["session"]["id"]
    site.stop()

    again = serve(checkout, "demo", "--port", str(port), port=port)
    again.browser = site.browser
    assert (checkout / ".env").read_text() == written
    status, text = again.ask("/api/auth/refresh", {})
    assert (status, json.loads(text)["session"]["id"]) == (200, session)
    assert json.loads(again.ask("/api/auth/me")[1])["session"]["id"] == session

    listed = manage(checkout, "list_sessions", "--json", cwd=checkout.parent)
    assert (listed.returncode, listed.stderr) == (0, "")
    [row] = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (row["id"], row["user"], row["generation"]) == (session, "demo@latchkey.test", 1)


def test_a_newcomer_signs_in_by_the_form_and_revokes_from_the_admin(checkout, port, serve):
    site = serve(checkout, "demo", port=port, PORT=str(port))
    own = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}

    def post(page: str, path: str, **fields: Any) -> tuple[int, str]:
        [token] = set(re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', site.ask(page)[1])) or {""}
        return site.ask(path, {**fields, "csrfmiddlewaretoken": token}, form=True, **own)

    status, text = post("/", "/sign-in", username="admin@latchkey.test", password=PASSWORD)
    assert status == 200
    assert "You are signed in as admin@latchkey.test" in text
    [row] = manage(checkout, "list_sessions", "--json").stdout.splitlines()
    sessions = "/admin/tokens/refreshtoken/"
    status, text = post(sessions, sessions, action="revoke_selected", _selected_action=json.loads(row)["id"])
    assert "Log in" in text, "it was their own"
    assert manage(checkout, "list_sessions", "--json").stdout == ""


def test_two_copies_have_different_secrets(tmp_path, taken_port):
    secrets = set()
    for name in ("one", "two"):
        checkout = copy(tmp_path / name)
        manage(checkout, "demo", f"--port={taken_port}")
        secrets.add((checkout / ".env").read_text())
    assert len(secrets) == 2


def test_the_demo_changes_no_env_that_is_there(checkout, taken_port):
    mine = f"# mine\nDEBUG=on\nSECRET_KEY={SECRET}\n"
    (checkout / ".env").write_text(mine)
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={taken_port}"), str(taken_port))
    assert (checkout / ".env").read_text() == mine


def test_the_demo_writes_no_env_where_the_environment_has_a_secret(checkout, taken_port):
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={taken_port}", **DEVELOPMENT), str(taken_port))
    assert not (checkout / ".env").exists()


def test_the_demo_runs_on_postgresql_and_every_command_after_it(checkout, port, serve):
    url, server = start_server()
    try:
        site = serve(checkout, "demo", f"--port={port}", port=port, DATABASE_URL=url)
        site.sign_in("demo@latchkey.test")
        assert not (checkout / "latchkey.sqlite3").exists()
        listed = manage(checkout, "list_sessions")
        assert (listed.returncode, listed.stderr) == (0, "")
        assert "demo@latchkey.test" in listed.stdout
        revoked = manage(checkout, "revoke_sessions", "--all", "--no-input")
        assert revoked.stdout.endswith("1 sessions revoked\n")
        site.stop()
    finally:
        server.cleanup()


def test_djangos_own_server_works_after_the_first_run(after_the_first_run, port, serve):
    site = serve(after_the_first_run, "runserver", str(port), port=port, PORT=str(port))
    assert 'type="password"' in site.ask("/")[1]


@pytest.mark.parametrize("command", ["check", "migrate", "list_sessions", "purge_tokens", "makemigrations --check"])
def test_every_command_works_after_the_first_run_with_nothing_else_set(command, after_the_first_run):
    finished = manage(after_the_first_run, *command.split())
    said = [line for line in finished.stderr.splitlines() if " logger=tokens event=purged " not in line]
    assert (finished.returncode, said) == (0, []), finished


# A port


@pytest.mark.parametrize("how", ["--port", "PORT"])
def test_a_taken_port_is_one_line(how, checkout, taken_port):
    options = [f"--port={taken_port}"] if how == "--port" else []
    finished = manage(checkout, "demo", *options, **({"PORT": str(taken_port)} if how == "PORT" else {}))
    assert_is_one_clear_line(finished, f"port {taken_port} cannot be used", "--port")
    assert finished.stdout == ""


def test_the_option_goes_before_the_environment(checkout, taken_port):
    finished = manage(checkout, "demo", "--port", str(taken_port), PORT="8000")
    assert_is_one_clear_line(finished, f"port {taken_port} ")


def test_a_port_taken_on_every_address_is_taken(checkout):
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert_is_one_clear_line(manage(checkout, "demo", f"--port={taken}"), f"port {taken} cannot be used")


def test_djangos_own_server_says_so_too(after_the_first_run, taken_port):
    finished = manage(after_the_first_run, "runserver", str(taken_port), "--noreload")
    assert_is_one_clear_line(finished, "That port is already in use.")


@pytest.mark.parametrize("number", ["0", "65536", "99999999999999999999"])
def test_a_port_that_there_is_not_is_one_line(number, checkout):
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={number}"), f"there is no port {number}")


@pytest.mark.parametrize("arguments", [["--port"], ["--port="], ["--port=http"], ["--port", "80.5"]])
def test_a_port_that_is_no_number_is_told_by_its_option(arguments, checkout):
    finished = manage(checkout, "demo", *arguments)
    assert finished.returncode == 2
    assert "argument --port" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("command", ["demo", "check"])
def test_a_port_in_the_environment_that_is_no_number_is_one_line(command, checkout):
    assert_is_one_clear_line(manage(checkout, command, PORT="http", **DEVELOPMENT), "PORT is not a whole number")


# Production


@pytest.mark.parametrize("command", ["check", "migrate", "runserver", "list_sessions", "no_such_command"])
def test_a_missing_secret_in_production_is_one_line(command, checkout):
    assert_is_one_clear_line(manage(checkout, command, ORIGIN="https://example.org"), "SECRET_KEY is not set")
    assert not (checkout / ".env").exists()


def test_an_empty_secret_is_a_missing_one(checkout):
    assert_is_one_clear_line(manage(checkout, "check", DEBUG="true", SECRET_KEY=""), "SECRET_KEY is not set")


def test_a_missing_origin_in_production_is_one_line(checkout):
    assert_is_one_clear_line(manage(checkout, "check", SECRET_KEY=SECRET), "ORIGIN is not set")


@pytest.mark.parametrize("origin", ["example.org", "https://[", "https://example.org/", "http://example.org"])
def test_an_origin_that_cannot_be_meant_is_told_without_a_traceback(origin, checkout):
    finished = manage(checkout, "check", SECRET_KEY=SECRET, ORIGIN=origin)
    assert finished.returncode == 1
    assert "ORIGIN is no" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_weak_secret_in_production_is_refused_without_a_traceback(checkout):
    finished = manage(checkout, "check", SECRET_KEY="x" * 20, ORIGIN="https://example.org")
    assert finished.returncode == 1
    assert "tokens.E008" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("said", ["false", "0", "off", ""])
def test_the_demo_refuses_with_debug_off_and_leaves_nothing_behind(said, checkout, port):
    for variables in ({}, PRODUCTION):
        finished = manage(checkout, "demo", f"--port={port}", DEBUG=said, **variables)
        assert_is_one_clear_line(finished, "DEBUG", "password")
    assert not (checkout / ".env").exists()
    assert not list(checkout.glob("*.sqlite3"))


def test_the_demo_refuses_where_the_env_has_debug_off(checkout, port):
    (checkout / ".env").write_text(f"SECRET_KEY={SECRET}\nORIGIN=https://example.org\n")
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={port}"), "DEBUG", "password")
    assert not list(checkout.glob("*.sqlite3"))


def test_an_env_that_cannot_be_written_is_one_line(checkout, port):
    (checkout / ".env").symlink_to("/nonexistent/directory/env")
    assert_is_one_clear_line(manage(checkout, "demo", f"--port={port}"), ".env cannot be written")


# The database


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("garbage", "DATABASE_URL cannot be read"),
        ("", "DATABASE_URL cannot be read"),
        ("nothing://user:hunter2@localhost/name", "DATABASE_URL cannot be read"),
        ("mysql://user:hunter2@localhost/name", "DATABASE_URL cannot be read"),
        ("postgres://user:hunter2@localhost:port/name", "DATABASE_URL cannot be read"),
        ("postgres://user:hunter2@127.0.0.1:{closed}/name", "DATABASE_URL says where it is"),
        ("sqlite:////nonexistent/directory/latchkey.sqlite3", "DATABASE_URL says where it is"),
        ("sqlite:///{no_database}", "DATABASE_URL says where it is"),
        ("sqlite://latchkey.sqlite3", "DATABASE_URL cannot be read"),
    ],
)
def test_a_wrong_database_url_is_one_line_without_its_password(url, said, checkout, port):
    given = url.format(closed=port, no_database=checkout / "manage.py")
    finished = manage(checkout, "list_sessions", DATABASE_URL=given, **DEVELOPMENT)
    assert_is_one_clear_line(finished, said)
    assert "hunter2" not in finished.stderr


@pytest.mark.parametrize("url", ["garbage", "sqlite:////tmp/replica.sqlite3", "mysql://user:hunter2@localhost/name"])
def test_a_replica_that_is_no_postgresql_is_one_line_without_its_password(url, checkout):
    finished = manage(checkout, "list_sessions", REPLICA_URL=url, **DEVELOPMENT)
    assert_is_one_clear_line(finished, "REPLICA_URL cannot be read")
    assert "hunter2" not in finished.stderr


@pytest.mark.parametrize("command", ["demo", "migrate", "runserver", "runserver --noreload"])
@pytest.mark.parametrize(
    "url", ["postgres://user@127.0.0.1:{closed}/name", "sqlite:////nonexistent/directory/latchkey.sqlite3"]
)
def test_a_database_that_is_not_there_is_one_line_whatever_is_asked(url, command, checkout, port):
    where = [f"--port={port}"] if command == "demo" else []
    finished = manage(checkout, *command.split(), *where, DATABASE_URL=url.format(closed=port), **DEVELOPMENT)
    assert_is_one_clear_line(finished, "the database cannot be used", "DATABASE_URL")


@pytest.mark.parametrize(
    "command",
    [
        "list_sessions",
        "purge_tokens --dry-run",
        "revoke_sessions --all --no-input",
        "changepassword demo@latchkey.test",
        "runserver",
        "runserver --noreload",
    ],
)
def test_a_missing_migration_is_one_line(command, checkout):
    finished = manage(checkout, *command.split(), **DEVELOPMENT)
    assert_is_one_clear_line(finished, "the database is not up to date", "manage.py migrate")


def test_one_migration_that_is_missing_is_noticed_by_the_server(after_the_first_run):
    assert manage(after_the_first_run, "migrate", "tokens", "zero", "--verbosity=0").returncode == 0
    finished = manage(after_the_first_run, "runserver", "--noreload")
    assert_is_one_clear_line(finished, "the database is not up to date", "manage.py migrate")


def test_the_demo_brings_an_old_database_up_to_date(after_the_first_run, port, serve):
    assert manage(after_the_first_run, "migrate", "tokens", "zero", "--verbosity=0").returncode == 0
    serve(after_the_first_run, "demo", f"--port={port}", port=port).sign_in("demo@latchkey.test")


# An error of ours is not hidden


def test_a_mistake_in_the_code_still_has_its_traceback(checkout):
    settings = checkout / "config" / "settings.py"
    settings.write_text(settings.read_text() + "\nint('an error of ours')\n")
    finished = manage(checkout, "check", **DEVELOPMENT)
    assert "Traceback" in finished.stderr
    assert finished.returncode == 1
