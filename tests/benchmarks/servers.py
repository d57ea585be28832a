"""What is run for a benchmark: PostgreSQL, Redis, and granian for each peer; and how much CPU each has taken."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from tests.browser.proxies import reserved_port
from tests.databases import start_server
from tests.scale.cluster import DEPLOY, ROOT, SECONDS, wait_for

WSGI = "tests.benchmarks.projects.wsgi:application"
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""Of this process's environment: nothing of its settings is for the peers."""
STILL_TIME = {"TOKENS_REUSE_GRACE": "1", "TOKENS_ACKNOWLEDGE_AFTER": "2"}
"""Seconds after which a session of Latchkey can be rotated again; by default they are 30 and 90."""


class Running:
    """A process, with all that it has started."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    @property
    def cpu(self) -> float:
        """Seconds of CPU taken, in user and system mode, by processes that have ended too."""
        processes = [self._process, *self._process.children(recursive=True)]
        return sum(sum(_times(process)) for process in processes)


def _times(process: psutil.Process) -> tuple[float, ...]:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # Its parent counts it from now on.
        return ()
    return times.user, times.system, times.children_user, times.children_system


class Granian(Running):
    """A peer's project, at ``port``."""

    def __init__(self, pid: int, port: int) -> None:
        super().__init__(pid)
        self.port = port


class Redis(Running):
    """Redis, at a Unix socket: ``path``."""

    def __init__(self, pid: int, path: Path) -> None:
        super().__init__(pid)
        self.path = path


class Postgres(Running):
    """A PostgreSQL server of one's own, with a database for each peer."""

    def __init__(self, server: Any) -> None:
        super().__init__(server.get_postmaster_info().pid)
        self._server = server
        self.folder = Path(server.get_postmaster_info().socket_dir)
        self.programs = Path(server.bin_path)

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def url(self, database: str, folder: Path | None = None) -> str:
        """``folder``: where the socket is, if not the server's own is meant."""
        return f"postgresql://postgres@/{database}?host={folder or self.folder}"

    def create(self, database: str) -> None:
        self.ask("postgres", sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    def ask(self, database: str, query: Any, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement, in no transaction, and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True, slots=True)
class Stores:
    """What peers keep their sessions in."""

    postgres: Postgres
    redis: Redis

    @property
    def cpu(self) -> float:
        return self.postgres.cpu + self.redis.cpu


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    with _postgres() as postgres, _redis(folder) as redis:
        yield Stores(postgres, redis)


@contextmanager
def _postgres() -> Iterator[Postgres]:
    _, server = start_server()
    try:
        yield Postgres(server)
    finally:
        server.cleanup()


@contextmanager
def _redis(folder: Path) -> Iterator[Redis]:
    """Redis in memory alone, as a cache."""
    assert shutil.which("redis-server"), "Redis is not installed. A peer caches in it: apt-get install redis-server."
    path = folder / "redis.socket"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--daemonize", "no"]
    with _running(["redis-server", *options], {}, folder) as pid:
        wait_for(path.exists, "Redis")
        yield Redis(pid, path)


@contextmanager
def granian(environment: Mapping[str, str], folder: Path) -> Iterator[Granian]:
    """Serve the project that the environment names, as `deploy/` does. ``folder``: for its log."""
    lines = (DEPLOY / "granian.env").read_text().splitlines()
    options = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    with reserved_port() as port:
        # Its threads stay, however long a peer waits for its turn.
        options |= {"GRANIAN_PORT": str(port), "GRANIAN_BLOCKING_THREADS_IDLE_TIMEOUT": "600"}
        with _running([sys.executable, "-m", "granian", WSGI], {**environment, **options}, folder) as pid:
            wait_for(lambda: _listens(port), "granian")
            yield Granian(pid, port)


def run(module: str, *arguments: str, **environment: str) -> None:
    """Run a module of Python, with a peer's environment. Raises `subprocess.CalledProcessError` where it fails."""
    command = [sys.executable, "-m", module, *arguments]
    subprocess.run(command, cwd=ROOT, env=_environment(environment), check=True)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **more}


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[int]:
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command, cwd=ROOT, env=_environment(environment), stdout=log, stderr=log) as process,
    ):
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
