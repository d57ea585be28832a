"""Keeps a request whose sign-in was refused from writing, also if code of the project catches the exception.

An exception rolls back the transactions that it leaves, unless the code in one of them catches it. And a view that runs
without a transaction can go on to write.
"""

from typing import Any

from django.db import connections

_READS = ("SELECT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
"""How statements begin that change nothing."""


def roll_back_all() -> None:
    """Let every transaction be rolled back that is open on a connection of this thread. Those of tests stay open.

    Django rolls back to the innermost savepoint, after which the rest of a transaction can be committed. So the
    savepoints are forgotten.
    """
    for connection in connections.all(initialized_only=True):
        places = [
            place for place, block in enumerate(connection.atomic_blocks) if not getattr(block, "_from_testcase", False)
        ]
        if places:
            savepoints: list[Any] = connection.savepoint_ids
            savepoints[places[0] :] = [None] * len(savepoints[places[0] :])
            connection.needs_rollback = True


class RefusedWrites:
    """While this is on, every writing statement of the thread that has made it raises ``error``."""

    def __init__(self, error: Exception) -> None:
        self.error, self.is_on = error, True
        for connection in connections.all():
            connection.execute_wrappers.append(self)

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if self.is_on and not str(sql).lstrip().upper().startswith(_READS):
            raise self.error
        if not self.is_on:
            context["connection"].execute_wrappers.remove(self)  # It was ended in another thread.
        return execute(sql, params, many, context)

    def end(self) -> None:
        """Let statements write again. In the same thread nothing is left of it."""
        self.is_on = False
        for connection in connections.all():
            if self in connection.execute_wrappers:
                connection.execute_wrappers.remove(self)
