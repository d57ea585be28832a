"""A statement that PostgreSQL plans once for each connection, sent and read with as little ado as can be.

To plan the rotation costs the server some four times as much as to carry it out; to write its parameters into its text
and to read its many instants costs Django's cursor more than all else that it does. So it goes beneath that cursor, by
the protocol's own prepared statements. Whatever wraps Django's cursors (``execute_wrapper``, ``connection.queries``)
sees it as it sees all others.

It goes as all others do where a pooler may give each statement another connection: where Django is told so
(``DISABLE_SERVER_SIDE_CURSORS``), and where that is found out.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from itertools import count
from types import SimpleNamespace
from typing import Any

from django.db import ProgrammingError
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import errors, generators
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.postgres import types as registry
from psycopg.pq import ExecStatus, TransactionStatus

_ATTRIBUTE = "_latchkey_reader"


class Prepared:
    """``text``: with ``%s`` for each parameter. ``types``: theirs, as PostgreSQL calls them."""

    def __init__(self, text: str, types: Sequence[str]) -> None:
        numbers = count(1)
        self.text = text
        self.sql = re.sub("%s", lambda _: f"${next(numbers)}", text).encode()
        self.oids = [registry.get_oid(name) for name in types]
        # A pooler may show it to others, who have another text: a number would not tell the two apart.
        self.name = b"latchkey_" + sha256(self.sql).hexdigest()[:16].encode()

    def fetchone(self, connection: Any, params: Sequence[Any]) -> Any:
        """Carry it out, and return its first row, or None. ``params``: bytes, None, or what `str` writes as SQL does.

        Raises as Django's cursors do.
        """
        connection.ensure_connection()
        if _may_be_prepared(connection):
            wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
            try:
                with wrap(_Cursor(connection.connection, self)) as cursor:
                    cursor.execute(self.text, params)
                    return cursor.fetchone()
            except ProgrammingError:
                # Unknown, or known already: there is such a pooler, and nobody has said so. Nothing has happened.
                if connection.in_atomic_block:
                    raise
                _reader(connection.connection).names.discard(self.name)
        with connection.cursor() as cursor:
            cursor.execute(self.text, params)
            return cursor.fetchone()


class _Reader:
    """What is known of a driver's connection, and kept on it.

    ``names``: of what is prepared. ``transformer``: reads rows as Django's cursors do, but for instants.
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
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return False
    driver = connection.connection
    # Else the driver would have to begin a transaction first.
    return bool(driver.autocommit or driver.pgconn.transaction_status == TransactionStatus.INTRANS)


class _Cursor:
    """What Django asks of a driver's cursor, for one statement."""

    def __init__(self, driver: Any, statement: Prepared) -> None:
        self._driver = driver
        self._reader = _reader(driver)
        self._statement = statement
        self._rows: Any = None
        self._text = ""

    def execute(self, text: str, params: Sequence[Any]) -> None:
        """``text``: what a wrapper has made of it, which is meant for logs."""
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
        """What Django's log reads of a cursor; here without the parameters."""
        return SimpleNamespace(query=self._text.encode())

    def close(self) -> None:
        """Nothing is held open."""


def _result(driver: Any) -> Any:
    """Wait as the driver's own cursors do: no longer than the request may, where its connections keep to that."""
    result = driver.wait(generators.execute(driver.pgconn))[-1]
    if result.status == ExecStatus.FATAL_ERROR:
        raise errors.error_from_result(result, encoding=driver.info.encoding)
    return result


class _Instant(BaseTzLoader):  # type: ignore[misc]
    """Reads what PostgreSQL writes in UTC, as Django lets it, in a tenth of the time."""

    def load(self, data: Any) -> datetime:
        text = str(data, "ascii")
        if text.endswith("+00"):
            with suppress(ValueError):  # The year 10000.
                return datetime.fromisoformat(text)
        instant: datetime = super().load(data)  # Infinity, before Christ: what becomes of that is not ours to say.
        return instant
