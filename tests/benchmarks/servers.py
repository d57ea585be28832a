"""The processes that a benchmark runs: PostgreSQL, Redis, and granian for each peer; and the CPU time of each."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.command import postgres_started
from tests.browser.proxies import reserved_port
from tests.clients.projects import clean_environment
from tests.scale.cluster import ROOT, Database, Node, Redis, node_started, redis_started

DURATIONS = {"TOKENS_REUSE_GRACE": "1", "TOKENS_ACKNOWLEDGE_AFTER": "2"}
"""Seconds after which a session of Latchkey can be rotated again. The defaults are 30 and 90."""


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


@contextmanager
def granian_started(environment: Mapping[str, str], folder: Path) -> Iterator[Node]:
    """Serve the project that the environment names, with the options of `deploy/`. ``folder``: for the log."""
    # The server's threads stay, however long a peer waits for its turn.
    variables = clean_environment(**environment, GRANIAN_BLOCKING_THREADS_IDLE_TIMEOUT="600")
    application = "tests.benchmarks.projects.wsgi:application"
    with (
        reserved_port() as port,
        (folder / "log").open("ab") as log,
        node_started(port, variables, application, stdout=log, stderr=log) as node,
    ):
        yield node


def populate(users: int, environment: Mapping[str, str]) -> None:
    """Create the tables and users of the project that the environment names."""
    command = [sys.executable, "-m", "tests.benchmarks.projects.populate", str(users)]
    subprocess.run(command, cwd=ROOT, env=clean_environment(**environment), check=True)
