"""Fixtures for the tests of this package."""

import pytest
from django.test import Client

from tests.browsers import FIREFOX, AsyncBrowser


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser in front of a WSGI and of an ASGI server. With one kind a fault in the other's way goes unnoticed."""
    client: Client = request.param(headers={"User-Agent": FIREFOX})
    return client
