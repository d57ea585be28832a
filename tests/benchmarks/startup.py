"""What does a process pay before it is of use? ``python -m tests.benchmarks.startup``.

Fresh processes take turns: a Django project of nothing but Django, the same with Django REST framework, and this
project as in production, on PostgreSQL, which none of them asks. A line for each stage says the median time from the
start of the interpreter until then, of the processor and on the clock, in milliseconds, and what this project adds to
the others. All modules are compiled before, wherever Python may not keep them.

With ``--imports`` it says what they import, and how long that took by itself. ``--python`` is for an interpreter
without the developers' tools (``uv sync --no-dev``): Django REST framework imports some of them where it finds them.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
CALL = """
from io import BytesIO
from {wsgi} import application
environ = {{
    "REQUEST_METHOD": "GET", "PATH_INFO": "{path}", "QUERY_STRING": "", "HTTP_HOST": "example.org",
    "SERVER_NAME": "example.org", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "https", "wsgi.input": BytesIO(),
}}
answers = []
list(application(environ, lambda status, headers: answers.append(status)))
assert answers == ["{status}"], answers
"""


@dataclass(frozen=True, slots=True)
class Project:
    """``view``, ``api``: paths that ask no database, the second's view one of REST framework, and what it answers."""

    name: str
    settings: str
    wsgi: str
    manage: tuple[str, ...]
    view: str
    api: str = ""
    api_status: str = "200 OK"

    def stages(self) -> dict[str, list[str]]:
        """The interpreter's arguments that take a process so far."""
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

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": COMPILED,
            "DJANGO_SETTINGS_MODULE": self.settings,
            "DEBUG": "false",
            "SECRET_KEY": SECRET_KEY,
            "ORIGIN": "https://example.org",
            "DATABASE_URL": "postgres://unused@localhost/unused",
        }

    def _call(self, path: str, status: str = "200 OK") -> list[str]:
        return ["-c", CALL.format(wsgi=self.wsgi, path=path, status=status)]


SECRET_KEY = secrets.token_urlsafe(48)
COMPILED = os.path.join(tempfile.gettempdir(), "latchkey-startup")
"""Where these processes keep their compiled modules."""
BARE_WSGI, DJANGO = "tests.benchmarks.bare.wsgi", ("-m", "django")
BARE = Project("Django", "tests.benchmarks.bare.settings", BARE_WSGI, DJANGO, "/view")
REST = Project("with REST", "tests.benchmarks.bare.rest_settings", BARE_WSGI, DJANGO, "/view", "/api/view")
OURS = Project(
    "this",
    "config.settings",
    "config.wsgi",
    ("manage.py",),
    "/.well-known/jwks.json",
    "/api/auth/me",
    "401 Unauthorized",
)
PROJECTS = (BARE, REST, OURS)
Times = dict[tuple[str, str], list[tuple[float, float]]]
"""Of a stage and a project's name: milliseconds of the processor, and on the clock."""


def started(python: str, project: Project, arguments: list[str]) -> tuple[float, float]:
    """Run a process to its end, and return the milliseconds that it took, of the processor and on the clock."""
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    quiet = ["-W", "ignore", *arguments]
    began = time.perf_counter()
    pid = os.posix_spawn(python, [python, *quiet], project.environment(), file_actions=[null])
    _, status, used = os.wait4(pid, 0)
    took = time.perf_counter() - began
    assert status == 0, (project.name, arguments)
    return (used.ru_utime + used.ru_stime) * 1000, took * 1000


def run(python: str, rounds: int) -> None:
    """Print a table of what the processor did, and one by the clock."""
    found: Times = {}
    # The first round, which compiles and fills caches, does not count.
    for turn in tqdm(range(rounds + 1), unit=" rounds", disable=not sys.stderr.isatty()):
        for stage in OURS.stages():
            for project in PROJECTS:
                if arguments := project.stages().get(stage):
                    took = started(python, project, arguments)
                    if turn:
                        found.setdefault((stage, project.name), []).append(took)
    for which, title in enumerate(("processor, ms", "clock, ms")):
        _print(title, *(project.name for project in PROJECTS), "over Django", "over REST")
        for stage in OURS.stages():
            bare, rest, ours = (
                median(pair[which] for pair in found[stage, project.name]) if stage in project.stages() else None
                for project in PROJECTS
            )
            _print(stage, bare, rest, ours, None if bare is None else ours - bare, ours - rest)
        print()  # noqa: T201


def show_imports(python: str, count: int) -> None:
    """Print the packages that took longest, until the first answer: by themselves, without what they import."""
    found = {project.name: _imports(python, project) for project in PROJECTS}
    _print("imports, ms", *found)
    _print("all", *(sum(times.values()) for times in found.values()))
    for package, _ in found[OURS.name].most_common(count):
        _print(package, *(times[package] for times in found.values()))


def _imports(python: str, project: Project) -> Counter[str]:
    """The milliseconds that each package's modules took in being imported."""
    arguments = ["-X", "importtime", *project.stages()["first answer"]]
    answer = subprocess.run([python, *arguments], env=project.environment(), capture_output=True, text=True, check=True)
    found: Counter[str] = Counter()
    for line in re.finditer(r"import time: +(\d+) \| +\d+ \| +(\w+)", answer.stderr):
        found[line[2]] += int(line[1]) / 1000
    return found


def _print(first: str, *cells: object) -> None:
    texts = ("" if cell is None else f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"{first:<34}" + "".join(f"{text:>14}" for text in texts))  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to start; default: this one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--imports", type=int, nargs="?", const=25, metavar="COUNT", help="the packages that take most")
    given = parser.parse_args()
    os.chdir(ROOT)
    if given.imports:
        show_imports(given.python, given.imports)
    else:
        run(given.python, given.rounds)


if __name__ == "__main__":
    main()
