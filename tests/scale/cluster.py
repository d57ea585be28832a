"""All of `deploy/` on this machine: nginx, two nodes, Redis, PgBouncer, a primary and its replica, each a process.

The configuration files are those of `deploy/`. Their words in capitals are replaced by addresses on this machine.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

import psutil
import psycopg
import redis

from tests.browser.proxies import nginx_running, reserved_port
from tests.browser.sites import Certificate
from tests.clients.projects import Server, clean_environment
from tests.postgresql import PostgresServer
from tests.programs import completed

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRET_KEY = "the secret of a site on two nodes, as long as it has to be: this long"
PASSWORD = "of-the-database"
POOL_SIZE = 4
HOST = "app.test"
SECONDS = 60
"""How long a process may take to start, or to do what it is asked, on a busy machine."""
NOTHING: Mapping[str, str] = MappingProxyType({})


def wait_for(happens: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Return what ``happens`` returns as soon as that is true. Raise `AssertionError` when it takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := happens():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not in {seconds} s")


@contextmanager
def running(command: list[Any], **options: Any) -> Iterator[Any]:
    """Run a process, and end it afterwards."""
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
def suspended(*processes: psutil.Process) -> Iterator[None]:
    """Within, these processes do not run. Their sockets still accept what is sent."""
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


def environment_of_nodes(origin: str, **more: str) -> dict[str, str]:
    """Return the environment variables of nodes behind nginx, as in production. ``more``: further ones, or others."""
    return {
        **clean_environment(),
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "DEBUG": "false",
        "SECRET_KEY": SECRET_KEY,
        "ORIGIN": origin,
        "TRUSTED_PROXIES": "127.0.0.1",
        **more,
    }


def filled(name: str, folder: Path, **words: object) -> Path:
    """Write the file of `deploy/` to the folder, with its words replaced as `envsubst` does."""
    path = folder / name.removesuffix(".template")
    path.write_text(Template((DEPLOY / name).read_text()).safe_substitute(words))
    return path


class Database(PostgresServer):
    """A PostgreSQL server. The tests query it as its superuser, without PgBouncer."""

    def kill(self) -> None:
        """Stop it immediately. What it has not yet written is lost."""
        self.control("stop", "--mode=immediate")

    def is_up_again(self) -> bool:
        """Return whether it answers. If it does not, start it."""
        try:
            return bool(self.ask("SELECT true"))
        except psycopg.Error:
            with suppress(AssertionError):  # The server runs already, and recovers.
                self.start()
            return False

    def ask(self, query: str, *values: Any, database: str = "latchkey") -> Any:
        """Run a statement. Return the first value of its result, if it has one."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return (cursor.fetchone() or [None])[0] if cursor.description else None

    def reads_of_the_feed(self) -> int:
        """Return how often the revocation feed was read from this server."""
        return self.log.read_text().count("LEFT JOIN tokens_revocation")


@contextmanager
def primary_started(parent: Path | None = None, environment: Mapping[str, str] = NOTHING) -> Iterator[Database]:
    """Start a primary. ``parent``: where its data folder is created. ``environment``: its environment variables."""
    server = Database(parent)
    try:
        server.initialize()
        shutil.copy(DEPLOY / "postgresql.conf", server.folder / "deployed.conf")
        shutil.copyfile(DEPLOY / "pg_hba.conf", server.folder / "pg_hba.conf")
        with (server.folder / "postgresql.conf").open("a") as file:
            # The tests count statements in the log.
            file.write("include 'deployed.conf'\nlog_statement = 'all'\n")
        server.start(environment)
        command = [server.programs / "psql", server.url(), "--quiet", "--set=ON_ERROR_STOP=1"]
        passwords = {"DATABASE_PASSWORD": PASSWORD, "REPLICATION_PASSWORD": PASSWORD}
        subprocess.run([*command, "--file", DEPLOY / "primary.sql"], env={**os.environ, **passwords}, check=True)
        yield server
    finally:
        server.cleanup()


@contextmanager
def replica_started(primary: Database) -> Iterator[Database]:
    server = Database()
    try:
        options = (f"--host={primary.folder}", "--username=replica", "--checkpoint=fast", "--write-recovery-conf")
        server.run("pg_basebackup", *options, f"--pgdata={server.folder}", PGPASSWORD=PASSWORD)
        for name in ("log", ".s.PGSQL.5432.lock"):  # The backup copied these files from the primary's data folder.
            (server.folder / name).unlink(missing_ok=True)
        server.start()
        yield server
    finally:
        server.cleanup()


class PgBouncer:
    """``sockets``: the folder of its socket. ``words``: those of its configuration."""

    def __init__(self, sockets: Path, words: dict[str, object], process: Any) -> None:
        self.sockets, self._words, self._process = sockets, words, process

    def dsn(self, database: str = "latchkey") -> str:
        return f"postgres://latchkey:{PASSWORD}@/{database}?host={self.sockets}&port=6432"

    def url(self, database: str = "latchkey") -> str:
        """The DATABASE_URL of a node."""
        return f"{self.dsn(database)}&DISABLE_SERVER_SIDE_CURSORS=True"

    def point_at(self, primary: Database) -> None:
        """Pass every statement on to this primary from now on."""
        path = filled("pgbouncer.ini.template", self.sockets, **{**self._words, "PRIMARY": primary.folder})
        if primary.user:
            shutil.chown(path, primary.user)
        self._process.send_signal(signal.SIGHUP)


@contextmanager
def pgbouncer_started(primary: Database, replica: Database | None = None) -> Iterator[PgBouncer]:
    assert shutil.which("pgbouncer"), "PgBouncer is not installed: apt-get install pgbouncer"
    folder = Path(mkdtemp(prefix="latchkey-pgb-"))
    users = filled("pgbouncer-users.txt.template", folder, DATABASE_PASSWORD=PASSWORD)
    words = {
        "PRIMARY": primary.folder,
        "REPLICA": (replica or primary).folder,
        "POOL_SIZE": POOL_SIZE,
        "PGBOUNCER_ADDRESS": "",
        "PGBOUNCER_SOCKETS": folder,
        "USERS": users,
    }
    configuration = filled("pgbouncer.ini.template", folder, **words)
    if primary.user:  # PgBouncer does not run as root.
        for path in (folder, users, configuration):
            shutil.chown(path, primary.user)
    command = ["pgbouncer", configuration]
    with (folder / "log").open("w") as log, running(command, user=primary.user, stderr=log) as process:
        wait_for((folder / ".s.PGSQL.6432").exists, "PgBouncer's socket")
        yield PgBouncer(folder, words, process)
    shutil.rmtree(folder)


class Redis:
    """A Redis server that writes nothing to disk."""

    def __init__(self, path: Path, process: Any) -> None:
        self.path, self.process = path, process
        self.url, self.client = f"redis://{path}", redis.Redis(unix_socket_path=str(path))

    def counted(self, name: str) -> dict[bytes, int]:
        """Return the counts of the throttle with this name, by key."""
        return {key: int(self.client.get(key)) for key in self.client.keys(f"*tokens.{name}.*")}

    def frozen(self) -> AbstractContextManager[None]:
        """Within, it accepts requests and does not answer."""
        return suspended(psutil.Process(self.process.pid))


@contextmanager
def redis_started() -> Iterator[Redis]:
    assert shutil.which("redis-server"), "Redis is not installed: apt-get install redis-server"
    folder = Path(mkdtemp(prefix="latchkey-redis-"))
    path = folder / "socket"
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
    with running(command, stdout=subprocess.DEVNULL) as process:
        wait_for(path.exists, "Redis's socket")
        yield Redis(path, process)
    shutil.rmtree(folder)


class Node(Server):
    """One process of granian, which the tests can reach at its own port."""

    def __init__(self, port: int, process: Any) -> None:
        self.port, self.pid, self._process = port, process.pid, process

    @property
    def has_exited(self) -> bool:
        return self._process.poll() is not None

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def workers(self) -> list[psutil.Process]:
        """Its processes that answer requests."""
        children = psutil.Process(self.pid).children()
        return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


@contextmanager
def node_started(
    port: int, environment: Mapping[str, str], application: str = "config.wsgi:application", **options: Any
) -> Iterator[Node]:
    """Start granian, configured as in `deploy/`. ``options``: those of the process."""
    lines = (DEPLOY / "granian.env").read_text().splitlines()
    deployed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    variables = {**deployed, **environment, "GRANIAN_PORT": str(port)}
    with running([sys.executable, "-m", "granian", application], cwd=ROOT, env=variables, **options) as process:
        node = Node(port, process)
        wait_for(node.listens, "a node")
        yield node


class Front(Server):
    """nginx, which clients reach by TLS under the site's name. ``address``: the client's, one of this machine."""

    def __init__(self, port: int, certificate: Certificate, address: str = "127.0.0.1") -> None:
        self.port, self._certificate, self._address = port, certificate, address
        self._context = ssl.create_default_context(cafile=str(certificate.authority_path))

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=SECONDS)
        plain = socket.create_connection(("127.0.0.1", self.port), SECONDS, (self._address, 0))
        connection.sock = self._context.wrap_socket(plain, server_hostname=HOST)
        return connection

    def reached_from(self, address: str) -> "Front":
        """Return the same nginx for a client with another address (127.0.0.2 and so on)."""
        return Front(self.port, self._certificate, address)


@contextmanager
def front_started(folder: Path, certificate: Certificate, https: int, a: int, b: int) -> Iterator[Front]:
    """Start nginx in front of the nodes at the ports ``a`` and ``b``."""
    addresses = {name: f"127.0.0.1:{port}" for name, port in (("HTTPS", https), ("NODE_A", a), ("NODE_B", b))}
    files = {"CERTIFICATE": certificate.path, "KEY": certificate.key_path, "ERROR_LOG": "error.log"}
    filled("nginx.conf.template", folder, NGINX_USER=getpass.getuser(), **files, **addresses)
    with nginx_running(folder):
        yield Front(https, certificate)


class Deployment:
    """PostgreSQL and PgBouncer, and after `serve` two ``nodes`` with nginx in ``front`` of them.

    ``replicated``: whether there is a replica. ``data``: where the primary's data folder is created.
    ``of_primary``: environment variables of the primary.
    """

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        *,
        replicated: bool = True,
        data: Path | None = None,
        of_primary: Mapping[str, str] = NOTHING,
    ) -> None:
        self._stack, self._folder, self._certificate = stack, folder, Certificate(folder)
        self._https, *self._ports = (stack.enter_context(reserved_port()) for _ in range(3))
        self.primary = stack.enter_context(primary_started(data, of_primary))
        self.replica: Any = stack.enter_context(replica_started(self.primary)) if replicated else None
        self.pgbouncer = stack.enter_context(pgbouncer_started(self.primary, self.replica))
        self.url, self.origin = self.pgbouncer.url(), f"https://{HOST}:{self._https}"
        self.environment = environment_of_nodes(self.origin, DATABASE_URL=self.url)

    def serve(self, of_a: Mapping[str, str] = NOTHING, of_b: Mapping[str, str] = NOTHING) -> None:
        """Create the tables, and start all. ``of_a``, ``of_b``: how a node's environment differs."""
        self.manage("migrate", "--verbosity=0")
        self._differences = of_a, of_b
        self._running = [self._stack.enter_context(ExitStack()) for _ in self._ports]
        self.nodes = [self._start(number) for number in range(len(self._ports))]
        self.front = self._stack.enter_context(
            front_started(self._folder, self._certificate, self._https, *self._ports)
        )

    def _start(self, number: int) -> Node:
        environment = {**self.environment, **self._differences[number]}
        return self._running[number].enter_context(node_started(self._ports[number], environment))

    def restart(self, number: int, **environment: str) -> None:
        """Stop a node as an operator does, and start it again at the same port with this environment."""
        self._running[number].close()
        self.environment |= environment
        self.nodes[number] = self._start(number)

    @contextmanager
    def another_node(self, **environment: str) -> Iterator[Node]:
        """Start a node that nginx does not know. ``environment``: how it differs."""
        with reserved_port() as port, node_started(port, {**self.environment, **environment}) as found:
            yield found

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a command of `manage.py` as an operator does, and return what it prints."""
        variables = {**self.environment, **environment}
        return completed(sys.executable, "manage.py", *arguments, cwd=ROOT, env=variables, timeout=SECONDS).stdout

    def wait_until_replayed(self, position: str = "pg_current_wal_flush_lsn()") -> None:
        """Wait until the replica has replayed the primary's log of writes up to its present position."""
        reached = self.primary.ask(f"SELECT {position}::text")
        wait_for(lambda: self.replica.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", reached), "the replay")


class Cluster(Deployment):
    """A deployment with a replica that the nodes read, and Redis. ``environment``: more settings of the nodes."""

    def __init__(self, stack: ExitStack, folder: Path, **environment: str) -> None:
        super().__init__(stack, folder)
        self.redis = stack.enter_context(redis_started())
        self.environment["REPLICA_URL"] = self.pgbouncer.url("latchkey_replica")
        self.environment |= {**environment, "CACHE_URL": self.redis.url}
        self.serve()
        self.a, self.b = self.nodes

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """Within, the replica answers with the data that it had before, and learns nothing new."""
        self.replica.ask("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.replica.ask("SELECT pg_get_wal_replay_pause_state()") == "paused", "the pause")
        try:
            yield
        finally:
            self.replica.ask("SELECT pg_wal_replay_resume()")
