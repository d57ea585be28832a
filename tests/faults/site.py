"""A deployment that can be broken: nginx, two nodes that reach PostgreSQL in different ways, and PostgreSQL.

Node A connects to PgBouncer. Node B connects by libpq to whichever server accepts writes. Times are short: a
generation is not replaced again for `STILL` seconds, and a request waits for the database at most `PATIENCE` seconds,
which is half of the grace period.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from time import time
from typing import Any, Protocol

import psycopg

from tests.clients.projects import Server
from tests.scale.cluster import NOTHING, PASSWORD, POOL_SIZE, Deployment, Node, wait_for
from tests.tokens.service.processes import Process

PATIENCE, GRACE, STILL, LIFETIME = 2, 4, 5, 10
"""Seconds."""
SECRET_KEY = "a secret for a site that is broken on purpose and has to be long enough"


ENVIRONMENT = {
    "SECRET_KEY": SECRET_KEY,
    "DATABASE_TIMEOUT": str(PATIENCE),
    "TOKENS_REUSE_GRACE": str(GRACE),
    "TOKENS_ACKNOWLEDGE_AFTER": str(STILL),
    "TOKENS_ACCESS_LIFETIME": str(LIFETIME),
    "TOKENS_MAX_HASHINGS": "8",
    "TOKENS_THROTTLES": "off",
    "EMAIL_URL": "dummymail://",
}
"""The environment variables of a node whose times are short."""


class AnySite(Protocol):
    """What the simulated users need of a site."""

    origin: str
    servers: list[Server]

    def open_account(self, email: str, password: str) -> None: ...

    def ask(self, query: str, *values: Any) -> Any: ...


class Site(Deployment):
    """``of_b``: environment variables of node B. The other options are those of `Deployment`."""

    def __init__(self, stack: ExitStack, folder: Path, *, of_b: Mapping[str, str] = NOTHING, **options: Any) -> None:
        super().__init__(stack, folder, **options)
        hosts = ",".join(str(database.folder) for database in (self.primary, self.replica) if database)
        self.directly = f"postgres://latchkey:{PASSWORD}@/latchkey?host={hosts}&target_session_attrs=read-write"
        self.environment |= {**ENVIRONMENT, "DATABASE_POOL": str(POOL_SIZE)}
        self.serve(of_b={"DATABASE_URL": self.directly, **of_b})
        self.servers: list[Server] = [self.front]
        self._registrar: Process | None = None

    def open_account(self, email: str, password: str) -> None:
        if self._registrar is None:
            # Without a pool, the process does not use a connection that the server has closed.
            environment = {**self.environment, "DATABASE_URL": self.directly, "DATABASE_POOL": "0"}
            self._registrar = Process(self.directly, **environment)
            self._stack.callback(self._registrar.stop)
        self._registrar.run("open_account", email, password)

    def wait_until_ready(self, *numbers: int) -> None:
        """Wait until these nodes are ready. If granian has given up, start it again, as a supervisor does."""

        def restarted(number: int) -> bool:
            if self.nodes[number].has_exited:
                self.restart(number)
            return is_ready(self.nodes[number])

        for number in numbers or (0, 1):
            wait_for(partial(restarted, number), "a node that is ready")

    def ask(self, query: str, *values: Any) -> Any:
        """Run a statement at the primary, without PgBouncer."""
        return self.primary.ask(query, *values)

    def clock_offset(self) -> float:
        """Return how many seconds the primary's clock is ahead of this machine's."""
        return float(self.ask("SELECT extract(epoch FROM clock_timestamp())")) - time()

    @contextmanager
    def transaction(self, statement: str) -> Iterator[None]:
        """Within, a transaction that has run this statement stays open."""
        options = "-c idle_in_transaction_session_timeout=0"
        with psycopg.connect(self.primary.url("latchkey"), options=options) as connection:
            connection.execute(statement)
            yield

    def waiting(self) -> int:
        """Return how many statements of the nodes wait for a lock."""
        return int(
            self.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'latchkey' AND wait_event_type = 'Lock'")
        )

    def disconnect_all(self) -> None:
        """Let the server close every connection of the nodes."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'latchkey'")

    def stop_replication(self) -> None:
        """Let the replica receive nothing from now on."""
        self.replica.ask("ALTER SYSTEM SET primary_conninfo = ''")
        self.replica.control("reload")
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"
        wait_for(lambda: self.replica.ask(gone), "the end of the replication")

    def fail_over(self) -> None:
        """Kill the primary, and let the replica take its place with the data that it has."""
        self.primary.kill()
        self.replica.control("promote")
        self.pgbouncer.point_at(self.replica)
        self.primary, self.replica = self.replica, None


def is_ready(node: Node) -> bool:
    """Return whether its health check answers 200."""
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
