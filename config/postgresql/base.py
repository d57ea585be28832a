"""Django's PostgreSQL backend, with connections that respect the deadline of the request.

`config.postgresql.deadline` sets the deadline. The client stops waiting, so no extra statement is needed. It cancels
the statement and closes the connection, and the pool makes a new one. ``statement_timeout`` would not work if the
server is silent, nor behind PgBouncer. It also does harm: it ends a commit's wait for a synchronous standby, and
reports success.

Errors of a server that must not write, or that has closed a transaction, become an `OperationalError`, because they are
an outage. The connection is closed, so that the next one reaches the current primary.
"""

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from config.postgresql import deadline

CANCEL_SECONDS = 1.0
"""Seconds for the server to confirm that a statement was cancelled. A request may take this much longer."""
INTERVAL = 0.1
"""Seconds after which a wait checks for signals to the process. It is psycopg's default."""
OUTAGES = errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout


class Connection(psycopg.Connection[Any]):
    """A connection with a deadline.

    ``patience`` is seconds for each statement, if another server can answer instead.
    """

    patience: float | None = None
    _commits = False

    def wait(self, gen: Generator[Any, Any, Any], interval: float = INTERVAL, timeout: float | None = None) -> Any:
        """Wait for the server. Raise `OperationalError` after the deadline of the request."""
        left = deadline.left()
        if timeout is None and left is not None:
            if left <= 0:
                raise psycopg.OperationalError("the deadline of the request has passed")
            timeout = min(left, self.patience or left)
        try:
            return super().wait(gen, interval, timeout)
        except OUTAGES as error:
            self.close()
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.InternalError as error:
            if error.sqlstate:  # The server reports an error of its own.
                raise
            # A server that stops during a commit may answer it with two errors, which psycopg does not expect.
            self.close()
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.OperationalError:
            if timeout is not None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._give_up()
            raise

    def set_autocommit(self, value: bool) -> None:
        with deadline.suspended():  # No statement is sent.
            super().set_autocommit(value)

    def set_isolation_level(self, value: psycopg.IsolationLevel | None) -> None:
        with deadline.suspended():  # No statement is sent.
            super().set_isolation_level(value)

    def commit(self) -> None:
        self._commits = True
        try:
            super().commit()
        finally:
            self._commits = False

    def _give_up(self) -> None:
        # A commit is not cancelled, because it may be waiting for a synchronous standby. The server would leave it
        # committed on the primary only, where the client's next attempt would find it done.
        if not self._commits:
            try:
                self.cancel_safe(timeout=CANCEL_SECONDS)
            except psycopg.Error:
                if self.patience is None:
                    deadline.note_silence()
        with suppress(psycopg.Error):
            self.close()


class ImpatientConnection(Connection):
    """A connection to a replica: if it does not answer soon, the primary is asked."""

    patience = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend with these connections. With ``OPTIONS["impatient"]`` another server can answer instead."""

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **options: Any) -> None:
        self._connection_class = ImpatientConnection if settings_dict["OPTIONS"].get("impatient") else Connection
        if pool := settings_dict["OPTIONS"].get("pool"):
            settings_dict["OPTIONS"]["pool"] = {**pool, "connection_class": self._connection_class}
        super().__init__(settings_dict, *args, **options)

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("impatient", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection as Django does, but wait for it only until the deadline of the request."""
        level = IsolationLevel(self.settings_dict["OPTIONS"].get("isolation_level", IsolationLevel.READ_COMMITTED))
        self.isolation_level = level
        connection = self._from_pool() if self.pool else self._connection_class.connect(**conn_params)
        if "isolation_level" in self.settings_dict["OPTIONS"]:
            connection.isolation_level = level
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        # A connection from the pool may have the right value already.
        if self.connection.autocommit != autocommit:
            super()._set_autocommit(autocommit)  # type: ignore[misc]

    def _from_pool(self) -> Any:
        pool: Any = self.pool
        pool.open()
        left = deadline.left()
        try:
            return pool.getconn(pool.timeout if left is None else min(left, pool.timeout))
        except PoolTimeout:
            if deadline.is_silent() and self._connection_class is Connection:
                deadline.note_silence()
            raise
