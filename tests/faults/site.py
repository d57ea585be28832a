"""A site that can be broken: nginx, two nodes that reach PostgreSQL in different ways, and PostgreSQL.

Node A asks PgBouncer, node B whichever server takes writes, by libpq's own means. Times are short: a generation stands
still for `STILL` seconds, and a request waits for the database `PATIENCE` at the most, half of the grace.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from time import time
from types import MappingProxyType
from typing import Any

import psycopg

from tests.browser.proxies import reserved_port
from tests.browser.sites import Certificate
from tests.clients.projects import Server
from tests.scale.cluster import (
    HOST,
    PASSWORD,
    POOL_SIZE,
    Database,
    Node,
    environment_of,
    front_started,
    manage,
    node_started,
    pgbouncer_started,
    primary_started,
    replica_started,
    wait_for,
)
from tests.tokens.service.processes import Process

PATIENCE, GRACE, STILL, LIFETIME = 2, 4, 5, 10
"""Seconds."""
SECRET_KEY = "a secret for a site that is broken on purpose and has to be long enough"


class Site:
    """``replicated``: there is a replica. ``folder``: where files go. ``data``: where those of the primary go.

    ``to_primary``, ``to_b``: what the primary, or node B, is told by its environment.
    """

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        *,
        replicated: bool = False,
        data: Path | None = None,
        to_primary: Mapping[str, str] = MappingProxyType({}),
        to_b: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._stack = stack
        certificate = Certificate(folder)
        https, *self._ports = (stack.enter_context(reserved_port()) for _ in range(3))
        self.primary = Database(stack.enter_context(primary_started(data, **to_primary)))
        self.replica = Database(stack.enter_context(replica_started(self.primary))) if replicated else None
        self.pgbouncer = stack.enter_context(pgbouncer_started(self.primary, self.replica))
        sockets = ",".join(database.socket for database in (self.primary, self.replica) if database)
        self.by_pgbouncer = f"{self.pgbouncer.dsn}&DISABLE_SERVER_SIDE_CURSORS=True"
        self.directly = f"postgres://latchkey:{PASSWORD}@/latchkey?host={sockets}&target_session_attrs=read-write"
        self.environment = {
            **environment_of(f"https://{HOST}:{https}"),
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "SECRET_KEY": SECRET_KEY,
            "DATABASE_URL": self.by_pgbouncer,
            "DATABASE_TIMEOUT": str(PATIENCE),
            "DATABASE_POOL": str(POOL_SIZE),
            "TOKENS_REUSE_GRACE": str(GRACE),
            "TOKENS_ACKNOWLEDGE_AFTER": str(STILL),
            "TOKENS_ACCESS_LIFETIME": str(LIFETIME),
            "TOKENS_MAX_HASHINGS": "8",
            "TOKENS_THROTTLES": "off",
            "EMAIL_URL": "dummymail://",
        }
        self.origin = self.environment["ORIGIN"]
        self._told: tuple[Mapping[str, str], Mapping[str, str]] = (
            {"DATABASE_URL": self.by_pgbouncer},
            {"DATABASE_URL": self.directly, **to_b},
        )
        self.manage("migrate", "--verbosity=0")
        self._nodes = [stack.enter_context(ExitStack()) for _ in self._ports]
        self.nodes = [self._start(number) for number in range(len(self._ports))]
        self.front = stack.enter_context(front_started(folder, certificate, https, *self._ports))
        self._registrar: Process | None = None

    @property
    def servers(self) -> list[Server]:
        """Whom people ask."""
        return [self.front]

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a command of `manage.py`, and return what it prints."""
        return manage({**self.environment, **environment}, *arguments)

    def open_account(self, email: str, password: str) -> None:
        if self._registrar is None:
            # Without a pool: a connection that was closed by the server is not taken for a good one.
            environment = {**self.environment, "DATABASE_URL": self.directly, "DATABASE_POOL": "0"}
            self._registrar = Process(self.directly, **environment)
            self._stack.callback(self._registrar.stop)
        self._registrar.run("open_account", email, password)

    def restart(self, number: int, **environment: str) -> None:
        """Stop a node as an operator does, and start it again with this environment, at the same place."""
        self._nodes[number].close()
        self.environment |= environment
        self.nodes[number] = self._start(number)

    def wait_until_it_works(self, number: int) -> None:
        """Wait for a node; start it again, as a supervisor does, where granian has given up on it."""

        def works() -> bool:
            if self.nodes[number].has_exited:
                self.restart(number)
            return _is_ready(self.nodes[number])

        wait_for(works, "a node that is ready")

    def _start(self, number: int) -> Node:
        environment = {**self.environment, **self._told[number]}
        return self._nodes[number].enter_context(node_started(self._ports[number], environment))

    def ask(self, query: str, *values: Any) -> Any:
        """Run a statement at the primary, past everything else."""
        return self.primary.ask(query, *values)

    def clock_offset(self) -> float:
        """How many seconds the primary's clock is ahead of this machine's."""
        return float(self.ask("SELECT extract(epoch FROM clock_timestamp())")) - time()

    @contextmanager
    def transaction(self, *statements: str) -> Iterator[psycopg.Connection[Any]]:
        """Hold a transaction open in which these statements were run, for as long as the test likes."""
        url = self.primary.server.get_uri("latchkey")
        with psycopg.connect(url, options="-c idle_in_transaction_session_timeout=0") as connection:
            for statement in statements:
                connection.execute(statement)
            yield connection

    def waiting(self) -> int:
        """How many statements of the nodes wait for a lock."""
        found = self.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'latchkey' AND wait_event_type = 'Lock'"
        )
        return int(found)

    def wait_for_waiting(self) -> None:
        wait_for(self.waiting, "somebody who waits for a lock")

    def disconnect_all(self) -> None:
        """Let the server close every connection of the nodes."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'latchkey'")

    def wait_until_replayed(self) -> None:
        """Wait until the replica knows what the primary knows now."""
        assert self.replica
        position = self.ask("SELECT pg_current_wal_insert_lsn()::text")
        wait_for(partial(self.replica.ask, "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position), "the replay")

    def stop_replication(self) -> None:
        """From now on the replica hears of nothing."""
        assert self.replica
        self.replica.ask("ALTER SYSTEM SET primary_conninfo = ''")
        self.replica.reload()
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"
        wait_for(lambda: self.replica and self.replica.ask(gone), "the end of the replication")

    def fail_over(self) -> None:
        """The primary dies, and the replica takes its place, with what it has."""
        assert self.replica
        self.primary.kill()
        self.replica.promote()
        self.pgbouncer.point_at(self.replica)
        self.primary, self.replica = self.replica, None


def _is_ready(node: Node) -> bool:
    connection = node.connect()
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def started(folder: Path, **options: Any) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, folder, **options)


def long_ago(site: Site, *session_ids: str) -> None:
    """Let the generations of these sessions have begun an hour ago."""
    hour_ago = "UPDATE tokens_refreshtoken SET since = since - interval '1 hour' WHERE id = ANY(%s::uuid[])"
    site.ask(hour_ago, list(session_ids))
