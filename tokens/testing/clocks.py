"""A clock that only the test moves, for this process and for the database's clock as Latchkey reads it.

It needs the package time-machine. `tokens.testing.age` needs none: it moves a session instead of the clock.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from tokens.database.expressions import DatabaseNow
from tokens.service.revocation_feed import RevocationFeed, feed, feed_of
from tokens.testing.guard import require_tests


class Clock:
    """The time, which stands still until `forward` moves it."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def forward(self, seconds: float) -> None:
        self._traveller.shift(timedelta(seconds=seconds))


@contextmanager
def clock(at: datetime | None = None) -> Iterator[Clock]:
    """Let the time stand still in the block, at this time, or at the present. Yield the `Clock` that moves it."""
    require_tests()
    try:
        import time_machine  # Only this function needs it.
    except ModuleNotFoundError as error:
        error.add_note("tokens.testing.clock needs it: pip install time-machine. tokens.testing.age does without.")
        raise
    with (
        patch.object(DatabaseNow, "as_postgresql", DatabaseNow.as_sqlite),
        time_machine.travel(at or datetime.now(UTC), tick=False) as traveller,
    ):
        _restart(lambda: time.time())
        try:
            yield Clock(traveller)
        finally:
            _restart(time.monotonic)


def _restart(monotonic: Any) -> None:
    """Let the revocation feed read the time from here. What it has noted by the other clock is forgotten."""
    RevocationFeed.__init__(feed, monotonic)
    feed_of.cache_clear()
