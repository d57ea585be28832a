"""A statement that PostgreSQL plans once per connection.

Planning the rotation costs the server about four times as much as executing it. Most of the time of Django's cursor
goes into writing the parameters into the text and reading the timestamps. So this module uses the prepared statements
of PostgreSQL's protocol, below Django's cursor. ``execute_wrapper`` and ``connection.queries`` see the statement like
any other.

Behind a pooler that may use another connection for each statement, it is sent like any other statement. Django's
setting ``DISABLE_SERVER_SIDE_CURSORS`` says that there is such a pooler. Without the setting it is detected. Some
poolers keep prepared statements apart, such as PgBouncer from version 1.21 on. psycopg's option ``prepare_threshold``
says that this one does.

It is sent like any other statement too if the database backend does something of its own before each one. The backend
of django-tenants selects the schema then, and without that the statement would be executed in the schema of the last
request.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from types import SimpleNamespace
from typing import Any

from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, generators
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.postgres import types as registry
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.types.datetime import TimestamptzLoader

_ATTRIBUTE = "_latchkey_reader"


class Prepared:
    """A prepared statement.

    ``text`` has ``%s`` for each parameter. ``types`` are the names of their types in PostgreSQL.
    """

    def __init__(self, text: str, types: Sequence[str]) -> None:
        numbers = count(1)
        self.text = text
        self.sql = re.sub("%s", lambda _: f"${next(numbers)}", text).encode()
        self.oids = [registry.get_oid(name) for name in types]
        # A pooler may share the connection with other processes. The name must identify the text.
        self.name = b"latchkey_" + sha256(self.sql).hexdigest()[:16].encode()

    def fetchone(self, connection: Any, params: Sequence[Any]) -> Any:
        """Execute the statement, and return its first row or None. Raise the same errors as Django's cursors.

        A parameter is bytes, None, or a value whose `str` is its text in SQL.
        """
        connection.ensure_connection()
        if _may_be_prepared(connection):
            wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
            try:
                with wrap(_Cursor(connection.connection, self)) as cursor:
                    cursor.execute(self.text, params)
                    return cursor.fetchone()
            except ProgrammingError:
                # The name is unknown, or already known: there is a pooler. The statement was not executed.
                if connection.in_atomic_block:
                    raise
                _reader(connection.connection).names.discard(self.name)
        with connection.cursor() as cursor:
            cursor.execute(self.text, params)
            return cursor.fetchone()


class _Reader:
    """What is stored on a connection of the driver.

    ``names`` are the statements that are prepared on it. ``transformer`` reads rows as Django's cursors do, except that
    it reads timestamps faster, and always in UTC.
    """

    def __init__(self, driver: Any) -> None:
        self.names: set[bytes] = set()
        self.connection = driver
        self.adapters = AdaptersMap(driver.adapters)
        self.adapters.register_loader("timestamptz", _Instant)
        self.transformer = Transformer(self)


def _reader(driver: Any) -> _Reader:
    found: _Reader | None = getattr(driver, _ATTRIBUTE, None)
    if found is None:
        found = _Reader(driver)
        setattr(driver, _ATTRIBUTE, found)
    return found


def _may_be_prepared(connection: Any) -> bool:
    driver = connection.connection
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS") and driver.prepare_threshold is None:
        return False
    usual: Any = BaseDatabaseWrapper
    if getattr(connection._cursor, "__func__", None) is not usual._cursor:
        return False
    # Otherwise the driver would have to begin a transaction first.
    return bool(driver.autocommit or driver.pgconn.transaction_status == TransactionStatus.INTRANS)


class _Cursor:
    """The part of a driver's cursor that Django needs for one statement."""

    def __init__(self, driver: Any, statement: Prepared) -> None:
        self._driver = driver
        self._reader = _reader(driver)
        self._statement = statement
        self._rows: Any = None
        self._text = ""

    def execute(self, text: str, params: Sequence[Any]) -> None:
        """Execute the statement. ``text`` may have been changed by a wrapper, and is only used for logs."""
        self._text = text
        driver, statement, names = self._driver, self._statement, self._reader.names
        values = [value if value is None or isinstance(value, bytes) else str(value).encode() for value in params]
        formats = [int(isinstance(value, bytes)) for value in params]
        with driver.lock:
            if statement.name not in names:
                driver.pgconn.send_prepare(statement.name, statement.sql, statement.oids)
                _result(driver)
                names.add(statement.name)
            driver.pgconn.send_query_prepared(statement.name, values, formats)
            self._rows = _result(driver)

    def fetchone(self) -> Any:
        if not self._rows.ntuples:
            return None
        self._reader.transformer.set_pgresult(self._rows)
        return self._reader.transformer.load_row(0, tuple)

    @property
    def _query(self) -> Any:
        """The query as Django's log reads it, without the parameters."""
        return SimpleNamespace(query=self._text.encode())

    def close(self) -> None:
        """Do nothing: no resources are held."""


def _result(driver: Any) -> Any:
    """Wait for the result like the driver's own cursors, which may be limited by the deadline of the request."""
    result = driver.wait(generators.execute(driver.pgconn))[-1]
    if result.status == ExecStatus.FATAL_ERROR:
        raise errors.error_from_result(result, encoding=driver.info.encoding)
    return result


class _Instant(TimestamptzLoader):
    """Reads timestamps as UTC, in a tenth of the time of psycopg's loader if the connection uses UTC, as by default."""

    def load(self, data: Any) -> datetime:
        text = str(data, "ascii")
        try:  # `suppress` takes longer than the conversion.
            instant = datetime.fromisoformat(text)
        except ValueError:  # Infinity, or a year before 1 or after 9999.
            instant = super().load(data)
        return instant if text.endswith("+00") else instant.astimezone(UTC)
