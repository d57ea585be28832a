"""Django's PostgreSQL, with connections that keep to the deadline of the request (`config.postgresql.deadline`).

They need no statement for it: it is this end that stops waiting. The statement is taken back, by a cancel request, and
the connection closed; its pool makes a new one. ``statement_timeout`` would do neither where the server is silent, nor
behind PgBouncer, and does harm: it cuts short a commit's wait for a synchronous standby, and calls that a success.

What a server says that may not write, or has closed a transaction, is an `OperationalError` here: an outage. Such a
connection is closed too, so that the next one finds whoever is the primary now.
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
"""How long a server may take to confirm that a statement was taken back: so much longer may a request take."""
INTERVAL = 0.1
"""Seconds after which a wait looks whether the process was interrupted: psycopg's own."""
OUTAGES = errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout


class Connection(psycopg.Connection[Any]):
    """``patience``: seconds for each statement, where others than this server can answer."""

    patience: float | None = None
    _commits = False

    def wait(self, gen: Generator[Any, Any, Any], interval: float = INTERVAL, timeout: float | None = None) -> Any:
        """Raises `OperationalError` where the request's time is over."""
        left = deadline.left()
        if timeout is None and left is not None:
            if left <= 0:
                raise psycopg.OperationalError("the time of the request is over")
            timeout = min(left, self.patience or left)
        try:
            return super().wait(gen, interval, timeout)
        except OUTAGES as error:
            self.close()
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.OperationalError:
            if timeout is not None and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._give_up()
            raise

    def commit(self) -> None:
        self._commits = True
        try:
            super().commit()
        finally:
            self._commits = False

    def _give_up(self) -> None:
        # A commit goes on: it may wait for a synchronous standby. Told to stop, the server would leave it committed on
        # this machine alone, and show it to the client's next try, which would then be told that all is done.
        if not self._commits:
            try:
                self.cancel_safe(timeout=CANCEL_SECONDS)
            except psycopg.Error:
                if self.patience is None:
                    deadline.note_silence()
        with suppress(psycopg.Error):
            self.close()


class HurriedConnection(Connection):
    patience = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    """``OPTIONS["hurried"]``: others can answer."""

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **options: Any) -> None:
        self._connection_class = HurriedConnection if settings_dict["OPTIONS"].get("hurried") else Connection
        if pool := settings_dict["OPTIONS"].get("pool"):
            settings_dict["OPTIONS"]["pool"] = {**pool, "connection_class": self._connection_class}
        super().__init__(settings_dict, *args, **options)

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("hurried", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django's own, but that it waits no longer than the request may."""
        level = IsolationLevel(self.settings_dict["OPTIONS"].get("isolation_level", IsolationLevel.READ_COMMITTED))
        self.isolation_level = level
        connection = self._from_pool() if self.pool else self._connection_class.connect(**conn_params)
        if "isolation_level" in self.settings_dict["OPTIONS"]:
            connection.isolation_level = level
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        # One from the pool has it as it was left.
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
