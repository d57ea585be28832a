"""Fixtures for the tests of this package."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.browsers import FIREFOX, AsyncBrowser
from tests.tokens.web_steps import sign_in_before_us


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser in front of a WSGI and of an ASGI server. With one kind a fault in the other's way goes unnoticed."""
    return request.param(headers={"User-Agent": FIREFOX})  # type: ignore[no-any-return]


@pytest.fixture(params=["signed_cookies", "db"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where Django keeps its session: in a cookie or in a table. A rule could hold for only one of them."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


@pytest.fixture
def both_modes(settings: Any) -> None:
    """Serves the storage modes "cookie" and "body". Without it every test with tokens in the body gets 400."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}


@pytest.fixture
def in_a_table(settings: Any) -> None:
    """Lets Django keep its sessions in a table, as by default. The project keeps them in a signed cookie."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


@pytest.fixture
def change_secret_key(settings: Any) -> Callable[[], None]:
    """Return a function that replaces SECRET_KEY, and accepts what was made with the key before.

    A test that only replaces the key shows that all sessions end.
    """

    def change() -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret that is long enough to be taken for a real one"

    return change


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
    """Return a function that makes a browser that Django has signed in before the project had our middleware."""

    def make(user: Any) -> Client:
        client = Client(headers={"User-Agent": FIREFOX})
        sign_in_before_us(client, user)
        return client

    return make
