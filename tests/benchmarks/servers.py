"""The processes that a benchmark runs: PostgreSQL, Redis, and granian for each project on Django; their CPU time."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from tests.benchmarks.command import postgres_started
from tests.benchmarks.platforms import Examined, Platform
from tests.benchmarks.projects import environment_of
from tests.browser.proxies import reserved_port
from tests.clients.projects import clean_environment, started
from tests.scale.cluster import ROOT, Database, Node, Redis, node_started, redis_started

DURATIONS = {"TOKENS_REUSE_GRACE": "1", "TOKENS_ACKNOWLEDGE_AFTER": "2"}
"""Seconds after which a session of Latchkey can be rotated again. The defaults are 30 and 90."""
PACKAGES = ("Django", "djangorestframework", "granian", "psycopg", "djangorestframework-simplejwt", "django-rest-knox")
PACKAGES += ("django-allauth", "django-jwt-allauth", "redis")
MODULES = ("granian", "redis", "rest_framework_simplejwt", "knox", "allauth", "jwt_allauth")


def cpu(pid: int) -> float:
    """Return the seconds of CPU, user and system, of a process and of all that it has started, ended ones too."""
    process, seconds = psutil.Process(pid), 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:  # From now on its parent's times include it.
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the peers keep their sessions. Each peer has its own database."""

    postgres: Database
    redis: Redis

    @property
    def cpu(self) -> float:
        return cpu(self.postgres.pid) + cpu(self.redis.process.pid)


@contextmanager
def stores_started() -> Iterator[Stores]:
    with postgres_started() as postgres, redis_started() as redis:
        yield Stores(postgres, redis)


class Django(Platform):
    """The `projects` on Django, served by granian with the options of `deploy/`."""

    @property
    def missing(self) -> str:
        absent = [name for name in MODULES if find_spec(name) is None]
        return f"{', '.join(absent)}: uv sync --group benchmarks" if absent else ""

    @property
    def versions(self) -> dict[str, str]:
        return {package: version(package) for package in PACKAGES}

    def environment(self, project: str) -> dict[str, str]:
        return environment_of(project)

    def populate(self, users: int, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.projects.populate", str(users)]
        subprocess.run(command, cwd=ROOT, env=clean_environment(**environment), check=True)

    @contextmanager
    def started(self, environment: Mapping[str, str], folder: Path) -> Iterator[Node]:
        # The server's threads stay, however long a peer waits for its turn.
        variables = clean_environment(**environment, GRANIAN_BLOCKING_THREADS_IDLE_TIMEOUT="600")
        application = "tests.benchmarks.projects.wsgi:application"
        with (
            reserved_port() as port,
            (folder / "log").open("ab") as log,
            node_started(port, variables, application, stdout=log, stderr=log) as node,
        ):
            yield node

    @contextmanager
    def examined(self, environment: Mapping[str, str]) -> Iterator[Examined]:
        command = [sys.executable, "-m", "tests.clients.existing_project.serve"]
        with started(command, ROOT, clean_environment(**environment)) as process:
            yield _Examined(process)


class _Examined(Examined):
    def forward(self, seconds: float) -> None:
        self.do("from tests.benchmarks.projects.populate import forward; forward(seconds)", seconds=seconds)
