"""Executes the statement of a rotation as often as PostgreSQL can, without the rest of a refresh.

The benchmark of growth needs tens of millions of rotations, and each has to be a transaction of its own, as in a real
refresh. So the statement is taken from one real refresh, and executed again and again with another session and its
generation, in the pipeline mode of PostgreSQL's protocol. That spares the round trips, the signatures and the tokens.

`tests.tokens.service.jobs` imports this module in its own processes. It must not import the tests' settings.
"""

from array import array
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

from django.db import connection
from psycopg.pq import ExecStatus

from tests.large_site import token_of
from tokens.database.prepared import Prepared
from tokens.protocol.rotation import Decision
from tokens.service import refreshing
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens

CLIENT = Client("192.0.2.7", "Firefox")
SESSION, GENERATION = -5, -4
"""Where these parameters of the statement are, counted from its end."""
BEFORE_ROWS, ROW, ID = 19, 22, 6
"""PostgreSQL's binary COPY: bytes before the first row, bytes of a row with one UUID, and its bytes before the UUID."""
IDS = "COPY (SELECT id FROM tokens_refreshtoken ORDER BY id) TO STDOUT (FORMAT binary)"
WINDOW = 64
"""Statements that are sent before the first of their results is read."""


class Rotations:
    """The sessions that one process rotates: one of every ``processes``, beginning with session ``number``.

    The last ``reserved`` sessions of all are left out.
    """

    def __init__(self, number: int, processes: int, reserved: int) -> None:
        self._random = Random(number)  # noqa: S311
        with connection.cursor() as cursor, cursor.copy(IDS) as copy:
            self._copied = b"".join(copy)
        count = (len(self._copied) - BEFORE_ROWS) // ROW
        self._places = range(number, count - reserved, processes)
        self._generations = array("I", [1]) * len(self._places)

    def rotate(self, count: int) -> int:
        """Rotate ``count`` sessions, chosen at random. Return how many of them the statement left as they were."""
        statement, params, formats = self._prepared()
        server = connection.connection.pgconn
        left = 0
        server.enter_pipeline_mode()
        for start in range(0, count, WINDOW):
            chosen = self._random.choices(range(len(self._places)), k=min(WINDOW, count - start))
            for place in chosen:
                params[SESSION] = self._id(place)
                params[GENERATION] = b"%d" % self._generations[place]
                server.send_query_prepared(statement.name, params, formats)
                server.pipeline_sync()
            for place in chosen:
                result = server.get_result()
                assert result.status == ExecStatus.TUPLES_OK, result.error_message
                self._generations[place] += result.ntuples
                left += not result.ntuples
                assert server.get_result() is None
                assert server.get_result().status == ExecStatus.PIPELINE_SYNC
        server.exit_pipeline_mode()
        return left

    def _prepared(self) -> tuple[Prepared, list[Any], list[int]]:
        """Refresh the first session, which prepares the statement on this connection.

        Return the statement, its parameters, and for each whether it is binary.
        """
        execute, recorded = Prepared.fetchone, []

        def record(statement: Prepared, connection: Any, params: list[Any]) -> Any:
            recorded.append((statement, params))
            return execute(statement, connection, params)

        token = token_of(UUID(bytes=self._id(0)), self._generations[0])
        with mock.patch.object(Prepared, "fetchone", record):
            answer = refreshing.refresh(token, ("cookie",), CLIENT)
        assert isinstance(answer, IssuedTokens)
        self._generations[0] += answer.decision is Decision.ROTATE
        [(statement, params)] = recorded
        formats = [int(isinstance(value, bytes)) for value in params]
        formats[SESSION] = 1
        return statement, [value if isinstance(value, bytes) else str(value).encode() for value in params], formats

    def _id(self, place: int) -> bytes:
        start = BEFORE_ROWS + ROW * self._places[place] + ID
        return self._copied[start : start + 16]


_found: Rotations | None = None
"""Kept from one job to the next, because the generations are."""


def rotate_at_random(number: int, processes: int, reserved: int, count: int) -> int:
    """Rotate ``count`` sessions. Return how many of them the statement left as they were."""
    global _found
    _found = _found or Rotations(number, processes, reserved)
    return _found.rotate(count)
