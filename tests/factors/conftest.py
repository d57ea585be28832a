"""Fixtures for factors: an authenticator with a passkey."""

from typing import Any

import pytest

from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create


@pytest.fixture
def device(signed_in: Any) -> Authenticator:
    """An authenticator with a passkey of the user, who is signed in. Without it each signature would be unknown."""
    found = Authenticator()
    create(signed_in, found)
    return found
