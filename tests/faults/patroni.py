"""A site whose primary is managed by Patroni: two members, etcd, two nodes and nginx, each a process of this machine.

The nodes name both members in DATABASE_URL, and libpq connects to the one that accepts writes.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Thread
from time import monotonic
from typing import Any

import psutil
import psycopg

from tests.browser.proxies import reserved_port
from tests.browser.sites import Certificate
from tests.clients.projects import Server, clean_environment
from tests.faults.site import ENVIRONMENT
from tests.scale.cluster import (
    DEPLOY,
    HOST,
    PASSWORD,
    ROOT,
    SECONDS,
    environment_of_nodes,
    filled,
    front_started,
    node_started,
    running,
    wait_for,
)
from tests.tokens.service.processes import Process

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
"""PostgreSQL as Debian 12 installs it with Patroni. This version of Patroni knows none that is newer."""
USER = "nobody"
LOOPBACK = f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.1"
"""An address of this machine that no other process uses. These servers cannot listen at a port that is reserved."""
ETCD, ETCD_PEERS = f"{LOOPBACK}:22379", f"{LOOPBACK}:22380"
POOL = 8


def missing() -> str:
    """Return what is not installed, or "" if Patroni can run."""
    lacks = [name for name in ("patroni", "patronictl", "etcd") if shutil.which(name) is None]
    lacks += [] if PROGRAMS.exists() else [str(PROGRAMS)]
    return ", ".join(lacks)


class Member:
    """A PostgreSQL server and its Patroni, which are stopped together as if their machine had failed."""

    def __init__(self, stack: ExitStack, number: int, folder: Path) -> None:
        self.name, self._stack, self._folder = f"member{number}", stack, folder
        self.port, self._rest = 25432 + number, f"{LOOPBACK}:{28008 + number}"
        words = {
            "NAME": self.name,
            "ETCD": ETCD,
            "REST": self._rest,
            "ADDRESS": f"{LOOPBACK}:{self.port}",
            "DATA": folder / self.name,
            "PROGRAMS": PROGRAMS,
            "POSTGRESQL_CONF": shutil.copy(DEPLOY / "postgresql.conf", folder / f"{self.name}.conf"),
            "SOCKETS": folder,
            "REPLICATION_PASSWORD": PASSWORD,
            "REWIND_PASSWORD": PASSWORD,
        }
        self.configuration = filled("patroni.yml.template", folder, **words).rename(folder / f"{self.name}.yml")
        for path in folder.iterdir():
            shutil.chown(path, USER)
        stack.callback(self.kill)
        self._process: Any = None

    def start(self) -> None:
        with (self._folder / f"{self.name}.log").open("a") as log:
            command = ["patroni", self.configuration]
            environment = {**clean_environment(), "HOME": str(self._folder)}
            self._process = subprocess.Popen(command, user=USER, cwd="/", env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """End all processes at once, without a word to the other member or to etcd."""
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            processes = [psutil.Process(self._process.pid)]
            with suppress(OSError, ValueError, psutil.NoSuchProcess):
                postmaster = int((self._folder / self.name / "postmaster.pid").read_text().split("\n", 1)[0])
                processes.append(psutil.Process(postmaster))
            processes += [child for process in processes for child in process.children(recursive=True)]
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()
        self._process = None

    def state(self) -> dict[str, Any]:
        """Return what Patroni says about this member and its cluster. Empty if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self._rest}/patroni", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        except (OSError, ValueError):
            return {}
        return found

    def is_primary(self) -> bool:
        found = self.state()
        return found.get("role") in {"master", "primary"} and found.get("state") == "running"

    def is_synchronous(self) -> bool:
        """Return whether it is the standby for which commits wait."""
        with suppress(OSError), urllib.request.urlopen(f"http://{self._rest}/sync", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def ask(self, query: str, *values: Any, database: str = "latchkey") -> Any:
        """Run a statement as the superuser. Return the first value of its result, if it has one."""
        url = f"postgresql://postgres@/{database}?host={self._folder}&port={self.port}"
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return (cursor.fetchone() or [None])[0] if cursor.description else None


@contextmanager
def etcd_started(folder: Path) -> Iterator[None]:
    """Start etcd as one process. In production it has three members on three machines."""
    urls = {
        "listen-client-urls": ETCD,
        "advertise-client-urls": ETCD,
        "listen-peer-urls": ETCD_PEERS,
        "initial-advertise-peer-urls": ETCD_PEERS,
    }
    options = [f"--{name}=http://{address}" for name, address in urls.items()]
    options += [f"--initial-cluster=default=http://{ETCD_PEERS}", f"--data-dir={folder / 'etcd'}"]
    with (folder / "etcd.log").open("w") as log, running(["etcd", *options], user=USER, stdout=log, stderr=log):
        yield


class PatroniSite:
    """``members``: the two servers. ``servers``: nginx, as simulated users reach the site."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        data = Path(mkdtemp(prefix="latchkey-patroni-"))
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        shutil.chown(data, USER)
        stack.enter_context(etcd_started(data))
        self.members = [Member(stack, number, data) for number in range(2)]
        first, second = self.members
        first.start()
        wait_for(first.is_primary, "the first primary")
        first.ask(f"CREATE ROLE latchkey LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        first.ask("CREATE DATABASE latchkey OWNER latchkey", database="postgres")
        second.start()
        wait_for(second.is_synchronous, "a synchronous standby")
        certificate = Certificate(folder)
        https, *ports = (stack.enter_context(reserved_port()) for _ in range(3))
        self.origin = f"https://{HOST}:{https}"
        hosts, at = ",".join([LOOPBACK] * 2), ",".join(str(member.port) for member in self.members)
        self.url = f"postgres://latchkey:{PASSWORD}@/latchkey?host={hosts}&port={at}&target_session_attrs=read-write"
        given = {**ENVIRONMENT, "DATABASE_URL": self.url, "DATABASE_POOL": str(POOL)}
        self.environment = environment_of_nodes(self.origin, **given)
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, timeout=SECONDS)
        for port in ports:
            stack.enter_context(node_started(port, self.environment))
        front = stack.enter_context(front_started(folder, certificate, https, *ports))
        self.servers: list[Server] = [front]
        self._registrar = Process(self.url, **{**self.environment, "DATABASE_POOL": "0"})
        stack.callback(self._registrar.stop)

    @property
    def primary(self) -> Member:
        """The member that accepts writes."""
        return self._member(Member.is_primary)

    def standby(self) -> Member:
        """Wait until a member is the synchronous standby, and return it."""
        return self._member(Member.is_synchronous)

    def _member(self, is_one: Callable[[Member], bool]) -> Member:
        found: Member = wait_for(lambda: next(filter(is_one, self.members), None), is_one.__name__)
        return found

    def open_account(self, email: str, password: str) -> None:
        self._registrar.run("open_account", email, password)

    def ask(self, query: str, *values: Any) -> Any:
        """Run a statement at the primary."""
        return self.primary.ask(query, *values)

    def switch_over(self) -> None:
        """Let the standby and the primary change places, as before the maintenance of a machine."""
        command = ["patronictl", "-c", self.members[0].configuration, "switchover", "latchkey", "--force"]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Within, write ten times a second. The list then has the longest time between two commits, in seconds."""
        found, over = [0.0], Event()

        def watch() -> None:
            last = monotonic()
            while not over.wait(0.1):
                with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=2) as connection:
                    connection.execute("SELECT pg_current_xact_id()")
                    connection.commit()
                    found[0], last = max(found[0], monotonic() - last), monotonic()

        thread = Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


@contextmanager
def managed(folder: Path) -> Iterator[PatroniSite]:
    with ExitStack() as stack:
        yield PatroniSite(stack, folder)
