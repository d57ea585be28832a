"""The clock of a process that serves a project: moved for all that ask the time in it, and for Latchkey's database."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import time_machine
from django.apps import apps


def forward(seconds: float) -> None:
    _traveller().shift(timedelta(seconds=seconds))


@cache
def _traveller() -> Any:
    if apps.is_installed("tokens"):
        from tokens.database import DatabaseNow

        DatabaseNow.as_postgresql = DatabaseNow.as_sqlite  # type: ignore[method-assign]
    return time_machine.travel(datetime.now(UTC), tick=True).start()
