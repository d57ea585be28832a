"""The project in ``existing_project``: a copy of it, the processes that serve it, and a client that keeps cookies."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.browsers import FIREFOX
from tests.programs import completed

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "existing_project"
SECRET_KEY = "the secret of somebody's project, as long as it has to be: fine"
IN_PRODUCTION = {"DEBUG": "false", "SECRET_KEY": SECRET_KEY}


def clean_environment(**variables: str) -> dict[str, str]:
    """Return these variables, and of this process's own only those that name paths and the language.

    The settings of this test run, and of this machine, must not reach the processes that it starts.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, **variables}


@contextmanager
def started(command: list[Any], folder: Path, environment: dict[str, str]) -> Iterator[Any]:
    """Run a server, and kill it afterwards. If this process ends before, the end of its standard input stops it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def installed_wheel(wheel: Path, folder: Path) -> tuple[str, Path]:
    """Install the wheel into a new virtual environment. Return its interpreter and its folder of packages.

    The dependencies come from the environment of this test run.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)  # As pip installs a wheel of pure Python.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('platlib')}\n{sysconfig.get_path('purelib')}\n")
    return str(folder / "bin" / "python"), packages


class Project:
    """A copy of the project.

    ``environment``: the variables that its settings read. ``python``: an interpreter in which our apps are installed;
    without it, our apps are copied into the project's folder.
    """

    def __init__(self, folder: Path, environment: dict[str, str], python: str = "") -> None:
        self.folder, self.environment = folder, dict(environment)
        self._installed, self._python = bool(python), python or sys.executable
        shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if environment.get("USERS") == "accounts.User":
            self._copy_apps()

    def add_latchkey(self, *, migrate: bool = True) -> None:
        """Follow the guide's steps. Their changes to settings and URLs are in the project, behind an ``if``."""
        self._copy_apps()
        self.environment["WITH_LATCHKEY"] = "yes"
        if migrate:
            self.manage("migrate")

    def manage(self, *arguments: str) -> str:
        """Run a management command, and return its output."""
        done = completed(self._python, "manage.py", *arguments, cwd=self.folder, env=self._environment())
        return done.stdout + done.stderr

    @contextmanager
    def served(self) -> Iterator["Server"]:
        """Serve the project in a separate process."""
        with started([self._python, "serve.py"], self.folder, self._environment()) as process:
            yield Server(process)

    def _copy_apps(self) -> None:
        # Both at once, as in the wheel: `accounts` imports what `tokens` knows about names.
        for app in () if self._installed else ("accounts", "tokens"):
            if not (self.folder / app).exists():
                shutil.copytree(ROOT / app, self.folder / app, ignore=shutil.ignore_patterns("__pycache__"))

    def _environment(self) -> dict[str, str]:
        return clean_environment(**self.environment)


class Server:
    """A process that serves a project, and runs the Python code that `do` sends it."""

    def __init__(self, process: Any) -> None:
        self._process = process
        line = process.stdout.readline()
        assert line, "The project does not start."
        self.port = int(line)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def do(self, code: str, **names: Any) -> Any:
        """Run Python code in the server's process, with these variables, and return its variable ``result``."""
        setting = "\n".join(f"{name} = {value!r}" for name, value in names.items())
        self._process.stdin.write(json.dumps(f"{setting}\n{code}") + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


class Answer:
    """A response. ``set``: a `http.cookies.Morsel` for each cookie that it sets or deletes, by name."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()
        lines = self.headers.get_all("Set-Cookie", [])
        self.set = {name: morsel for line in lines for name, morsel in SimpleCookie(line).items()}

    def json(self) -> Any:
        return json.loads(self.text)


class Browser:
    """A client that keeps the cookies of the site ``origin``, whichever process serves it, and follows no redirect."""

    csrf_cookie = "csrftoken"

    def __init__(self, origin: str, cookies: dict[str, str] | None = None) -> None:
        self.origin, self.cookies = origin, dict(cookies or {})

    def copy(self) -> "Browser":
        return type(self)(self.origin, self.cookies)

    def get(self, server: Server, path: str, **headers: str) -> Answer:
        return self._ask(server, "GET", path, None, headers)

    def post_form(self, server: Server, path: str, **fields: str) -> Answer:
        """Submit the form of the page at ``path``, including its CSRF token."""
        if self.csrf_cookie not in self.cookies:
            self.get(server, path)
        body = urlencode({**fields, "csrfmiddlewaretoken": self.cookies.get(self.csrf_cookie, "")})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        return self._ask(server, "POST", path, body, headers)

    def post_json(self, server: Server, path: str, data: Any = None, **headers: str) -> Answer:
        body = json.dumps({} if data is None else data)
        return self._ask(server, "POST", path, body, {"Content-Type": "application/json", **headers})

    def delete(self, server: Server, path: str, **headers: str) -> Answer:
        return self._ask(server, "DELETE", path, None, headers)

    def _ask(self, server: Server, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        scheme, _, host = self.origin.partition("://")
        sent = {"Host": host, "User-Agent": FIREFOX, "X-Forwarded-Proto": scheme, "Connection": "close", **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = server.connect()
        try:
            connection.request(method, path, body, sent)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        for name, morsel in answer.set.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return answer
