"""The names that the refresh and device cookies had before, and fixtures with them.

A module that imports a fixture lists it in ``__all__``.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.tokens.web_steps import signed_in_as

OLD_REFRESH, OLD_DEVICE, OLD_SCOPED_REFRESH = "__Host-refresh", "__Host-device", "__Secure-refresh"


@pytest.fixture
def writes(settings: Any) -> Callable[..., None]:
    """Says which names this process writes. All processes share the rows, so this also stands for another process."""

    def write(new: bool, **more: Any) -> None:
        settings.TOKENS = {"HTTP_COOKIE_NAMES": new, **more}

    return write


@pytest.fixture
def old_browser(writes, user) -> Client:
    """A browser in which `user` signed in before the new names were written. They are written from now on."""
    writes(False)
    browser = signed_in_as(user, remember=True)
    writes(True)
    return browser
