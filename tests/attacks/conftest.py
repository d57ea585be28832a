"""Fixtures for attacks: mail that is there at once, and what a long life of an account leaves behind."""

from typing import Any

import pytest

from tests.accounts.conftest import _mail_at_once, hashed
from tests.attacks.doors import INTROSPECTION
from tests.attacks.use import Use

__all__ = ["_mail_at_once", "hashed"]


@pytest.fixture
def use(db: None, settings: Any, clock: Any, mailoutbox: list[Any]) -> Use:
    """Accounts that were used in every way, and all that was ever presented, given or typed in."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.ADMINS = [("operator", "operator@example.org")]
    settings.TOKENS = {"MODES": ["cookie", "scoped", "body"], **INTROSPECTION}
    found = Use(clock, mailoutbox)
    found.run()
    return found
