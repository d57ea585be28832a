"""The fixtures of the pytest plugin, which needs pytest-django. (PYTEST_DONT_REWRITE)

pytest may load this module before Django is set up, so the fixtures import what they use.
"""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def latchkey_user(db: None) -> Any:
    """A new user, without a password. Define a fixture of this name to sign in a user of your own."""
    from tokens.testing.users import create_user

    return create_user()


@pytest.fixture
def signed_in_client(latchkey_user: Any) -> Any:
    """Django's `Client`, in which `latchkey_user` is signed in. Its attribute ``user`` is that user."""
    from django.test import Client

    return _signed_in(Client(), latchkey_user)


@pytest.fixture
def signed_in_async_client(latchkey_user: Any) -> Any:
    """Django's `AsyncClient`, in which `latchkey_user` is signed in. Its attribute ``user`` is that user."""
    from django.test import AsyncClient

    return _signed_in(AsyncClient(), latchkey_user)


@pytest.fixture
def signed_in_api_client(latchkey_user: Any) -> Any:
    """REST framework's `APIClient`, in which `latchkey_user` is signed in. Its attribute ``user`` is that user."""
    from rest_framework.test import APIClient

    return _signed_in(APIClient(), latchkey_user)


def _signed_in(client: Any, user: Any) -> Any:
    from tokens.testing.clients import sign_in

    client.user = user
    sign_in(client, user)
    return client


@pytest.fixture
def latchkey_clock() -> Iterator[Any]:
    """A `Clock` that stands still until the test moves it. It needs time-machine."""
    from tokens.testing.clocks import clock

    with clock() as found:
        yield found


@pytest.fixture
def throttles_off() -> Iterator[None]:
    """Nothing is throttled."""
    from tokens.testing import throttling

    with throttling.throttles_off():
        yield


@pytest.fixture(scope="session")
def _latchkey_started(request: pytest.FixtureRequest) -> None:
    """Start the live server with settings for http. Some middlewares read theirs when the server starts."""
    from tokens.testing.live import over_http

    with over_http():
        request.getfixturevalue("live_server")


@pytest.fixture
def latchkey_live_server(_latchkey_started: None, live_server: Any) -> Iterator[Any]:
    """The ``live_server`` of pytest-django, whose sessions work over http. ORIGIN is its URL."""
    from tokens.testing.live import over_http

    with over_http(live_server.url):
        yield live_server
