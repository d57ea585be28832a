"""Fixtures for the tests of the API."""

from typing import Any

import pytest


@pytest.fixture
def both_modes(settings: Any) -> None:
    """Serves the storage modes "cookie" and "body". Without it every test with tokens in the body gets 400."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}
