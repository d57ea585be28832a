"""What does a process cost before it can answer? ``python -m tests.benchmarks.startup``.

New processes take turns: a project of nothing but Django, the same with Django REST framework, and this project as in
production. All are configured with PostgreSQL, and none connects to it. A line for each stage says the median time from
the start of the interpreter, as CPU time and on the clock, in milliseconds, and how much more this project takes than
the others. All modules are compiled before, even where Python may not write files.

``--python`` is for an interpreter without the developers' tools (``uv sync --no-dev``), because Django REST framework
imports some of them if they are installed.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.options import parser, progress
from tests.benchmarks.projects import environment_of

ROOT = Path(__file__).resolve().parents[2]
CALL = """
from io import BytesIO
from {wsgi} import application
environ = {{
    "REQUEST_METHOD": "GET", "PATH_INFO": "{path}", "QUERY_STRING": "", "HTTP_HOST": "localhost",
    "SERVER_NAME": "localhost", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "https", "wsgi.input": BytesIO(),
}}
answers = []
list(application(environ, lambda status, headers: answers.append(status)))
assert answers == ["{status}"], answers
"""
SECRET_KEY = secrets.token_urlsafe(48)
COMPILED = os.path.join(tempfile.gettempdir(), "latchkey-startup")
"""Where the processes keep their compiled modules."""


@dataclass(frozen=True, slots=True)
class Project:
    """``environment``: where its settings are. ``view``, ``api``: paths whose answer needs no database.

    The view at ``api`` is one of REST framework.
    """

    name: str
    environment: Mapping[str, str]
    wsgi: str = "tests.benchmarks.projects.wsgi"
    manage: tuple[str, ...] = ("-m", "django")
    view: str = "/bare"
    api: str = ""
    api_status: str = "200 OK"

    def stages(self) -> dict[str, list[str]]:
        """Return the arguments of the interpreter with which a process ends after a stage, by the stage's name."""
        found = {
            "django.setup()": ["-c", "import django; django.setup()"],
            "the WSGI application": ["-c", f"import {self.wsgi}"],
            "first answer": self._call(self.view),
            "first page: the admin's sign-in": self._call("/admin/login/"),
            "first answer of the API": self._call(self.api, self.api_status) if self.api else [],
            "manage.py help": [*self.manage, "help"],
            "manage.py check": [*self.manage, "check"],
        }
        return {stage: arguments for stage, arguments in found.items() if arguments}

    def whole_environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": COMPILED,
            **self.environment,
            "DEBUG": "false",
            "SECRET_KEY": SECRET_KEY,
            "ORIGIN": "https://localhost",
            "DATABASE_URL": "postgres://unused@localhost/unused",
        }

    def _call(self, path: str, status: str = "200 OK") -> list[str]:
        return ["-c", CALL.format(wsgi=self.wsgi, path=path, status=status)]


BARE = Project("Django", environment_of("startup_django"))
REST = Project("with REST", environment_of("startup_rest"), api="/view")
OURS = Project(
    "this",
    {"DJANGO_SETTINGS_MODULE": "config.settings"},
    "config.wsgi",
    ("manage.py",),
    view="/.well-known/jwks.json",
    api="/api/auth/me",
    api_status="401 Unauthorized",
)
PROJECTS = (BARE, REST, OURS)


def started(python: str, project: Project, arguments: list[str]) -> tuple[float, float]:
    """Run a process to its end. Return the milliseconds that it took: CPU time, and on the clock."""
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    command = [python, "-W", "ignore", *arguments]
    began = time.perf_counter()
    pid = os.posix_spawn(python, command, project.whole_environment(), file_actions=[null])
    _, status, used = os.wait4(pid, 0)
    took = time.perf_counter() - began
    assert status == 0, (project.name, arguments)
    return (used.ru_utime + used.ru_stime) * 1000, took * 1000


def run(python: str = sys.executable, rounds: int = 15) -> None:
    """Print a table of CPU times, and one of times on the clock."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    # The first round compiles and fills caches, and does not count.
    for turn in progress(range(rounds + 1), unit=" rounds"):
        for stage in OURS.stages():
            for project in PROJECTS:
                if arguments := project.stages().get(stage):
                    took = started(python, project, arguments)
                    if turn:
                        found.setdefault((stage, project.name), []).append(took)
    for which, title in enumerate(("CPU, ms", "clock, ms")):
        _print(title, *(project.name for project in PROJECTS), "over Django", "over REST")
        for stage in OURS.stages():
            bare, rest, ours = (
                median(pair[which] for pair in found[stage, project.name]) if stage in project.stages() else None
                for project in PROJECTS
            )
            _print(stage, bare, rest, ours, None if bare is None else ours - bare, ours - rest)
        print()  # noqa: T201


def _print(first: str, *cells: object) -> None:
    texts = ("" if cell is None else f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"{first:<34}" + "".join(f"{text:>14}" for text in texts))  # noqa: T201


def main() -> None:
    options = parser(run, __doc__, python="the interpreter to start", rounds="how often each stage is measured")
    os.chdir(ROOT)
    run(**vars(options.parse_args()))


if __name__ == "__main__":
    main()
