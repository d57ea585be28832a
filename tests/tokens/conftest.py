"""Fixtures for the tests of this package."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import Client

from tests.browsers import FIREFOX, AsyncBrowser

DJANGOS_BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser in front of a WSGI and of an ASGI server. With one kind a fault in the other's way goes unnoticed."""
    client: Client = request.param(headers={"User-Agent": FIREFOX})
    return client


@pytest.fixture(params=["signed_cookies", "db"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where Django keeps its session: in a cookie or in a table. A rule could hold for only one of them."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.fixture
def stored(engine: str) -> Callable[[Client], Any]:
    """Return a function that reads Django's session by a browser's cookie, as a web socket does.

    A view's ``request.session`` would not show what the next handshake finds.
    """

    def read(client: Client) -> Any:
        cookie = client.cookies.get(django_settings.SESSION_COOKIE_NAME)
        return import_module(django_settings.SESSION_ENGINE).SessionStore(cookie.value if cookie else None)

    return read


@pytest.fixture
def signed_in_by_django(engine: str) -> Callable[[Any], Client]:
    """Return a function that makes a browser that Django has signed in before the project had our middleware.

    ``force_login`` would run our receiver, which leaves a nonce.
    """

    def make(user: Any) -> Client:
        store = import_module(django_settings.SESSION_ENGINE).SessionStore()
        store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), DJANGOS_BACKEND
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.save()
        client = Client(headers={"User-Agent": FIREFOX})
        client.cookies[django_settings.SESSION_COOKIE_NAME] = store.session_key
        return client

    return make
