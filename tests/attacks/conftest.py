"""Fixtures for attacks: accounts with a long history."""

from typing import Any

import pytest

from tests.attacks.entry_points import INTROSPECTION
from tests.attacks.use import Use
from tests.config.admins import OPERATORS


@pytest.fixture
def use(db: None, settings: Any, clock: Any, mailoutbox: list[Any]) -> Use:
    """Accounts with a history of every operation, and all secrets of that history.

    A test on empty tables and logs would find no secret in them, whatever the code writes there.
    """
    settings.ROOT_URLCONF = "tests.urls"
    settings.ADMINS = OPERATORS
    more = {"MODES": ["cookie", "scoped", "body"], "SERVICE_AUDIENCE": "services", **INTROSPECTION}
    settings.TOKENS = {**settings.TOKENS, **more}
    found = Use(clock, mailoutbox)
    found.run()
    return found
