"""The doors at which an access token is shown, and what is seen of one that is refused there."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.browsers import ACCESS

SERVICE = "a service's secret: as random as it should be"
INTROSPECTION = {"INTROSPECTION_CLIENTS": [f"api:{sha256(SERVICE.encode()).hexdigest()}"]}
"""What the settings say so that there is a door for services."""


def by_header(client: Client, text: str) -> Any:
    return client.get("/api/auth/me", headers={"Authorization": f"Bearer {text}"})


def by_cookie(client: Client, text: str) -> Any:
    return client.get("/api/auth/me", headers={"Cookie": f"{ACCESS}={text}"})


def by_service(client: Client, text: str) -> Any:
    """A service that was sent the token asks what it is worth."""
    return client.post(
        "/api/auth/introspect",
        urlencode({"token": text}),
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": "Basic " + b64encode(f"api:{SERVICE}".encode()).decode()},
    )


DOORS: tuple[Callable[[Client, str], Any], ...] = (by_header, by_cookie, by_service)


def is_let_in(answer: Any) -> bool:
    return bool(answer.status_code == 200 and answer.json().get("active", True))


def assert_shut(texts: Iterable[str]) -> None:
    """No door opens to any of these, each says so as it should, and none of them looks into the database.

    The last is pytest-django's doing, in a test that asks for no database.
    """
    client = Client()
    for text in texts:
        for door in DOORS:
            answer = door(client, text)
            assert not is_let_in(answer), (door.__name__, text)
            # A service is told so with 200 (RFC 7662), or that it sent nothing, or too much.
            shut = {200, 400, 413} if door is by_service else {401}
            assert answer.status_code in shut, (door.__name__, text, answer.content)
