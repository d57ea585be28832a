"""The ways to sign in, and those in which an access token reaches the server.

A token that is not valid must be rejected in each way.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.browsers import ACCESS, post
from tests.factories import PASSWORD
from tests.tokens.protocol import jws
from tokens.conf import codec

SERVICE = "a service's secret: as random as it should be"
INTROSPECTION = {"INTROSPECTION_CLIENTS": [f"api:{sha256(SERVICE.encode()).hexdigest()}"]}
"""Settings that let one service introspect tokens."""
AS_SERVICE = {"Authorization": "Basic " + b64encode(f"api:{SERVICE}".encode()).decode()}
"""The header by which the service authenticates itself."""


def minted(**changes: Any) -> str:
    """Return a token of this server, as it makes it for a user who signs in now."""
    return jws.minted(codec(), now=datetime.now(UTC), **changes)


def by_header(client: Client, text: str) -> Any:
    return client.get("/api/auth/me", headers={"Authorization": f"Bearer {text}"})


def by_cookie(client: Client, text: str) -> Any:
    return client.get("/api/auth/me", headers={"Cookie": f"{ACCESS}={text}"})


def by_service(client: Client, text: str) -> Any:
    """Introspect the token (RFC 7662), as a service does that received it."""
    form = "application/x-www-form-urlencoded"
    return client.post("/api/auth/introspect", urlencode({"token": text}), content_type=form, headers=AS_SERVICE)


WAYS: tuple[Callable[[Client, str], Any], ...] = (by_header, by_cookie, by_service)


def by_api(mode: str) -> Callable[[Client, Any], Any]:
    """Return a function that signs a user in by the API, in this mode."""
    given = {"password": PASSWORD, "mode": mode}
    return lambda browser, user: post(browser, "/api/auth/login", {"email": user.email, **given})


def by_form(path: str) -> Callable[[Client, Any], Any]:
    """Return a function that signs a user in by the form at this path."""
    return lambda browser, user: browser.post(path, {"username": user.email, "password": PASSWORD})


def is_accepted(response: Any) -> bool:
    return bool(response.status_code == 200 and response.json().get("active", True))


def assert_rejected(texts: Iterable[str]) -> None:
    """Hold the server to rejecting each of these, in every way, with the right status and without a query.

    In a test without a database pytest-django makes every query fail.
    """
    client = Client()
    for text in texts:
        for way in WAYS:
            response = way(client, text)
            assert not is_accepted(response), (way.__name__, text)
            # Introspection answers 200 for an invalid token (RFC 7662), 400 for an empty one, 413 for a huge one.
            statuses = {200, 400, 413} if way is by_service else {401}
            assert response.status_code in statuses, (way.__name__, text, response.content)
