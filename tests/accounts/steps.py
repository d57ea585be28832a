"""What tests of accounts do and look at, in words."""

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browsers import post
from tokens.models import RefreshToken, SecurityEvent

NEW_PASSWORD = "a brand new and better password"
STRANGE = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
WAY = "/api/auth/"


def ask(client: Client, path: str, data: Any = None, **headers: str) -> Any:
    """POST JSON to the auth API."""
    return post(client, WAY + path, data, **headers)


def seen(response: Any) -> tuple[Any, ...]:
    """All that a client sees of an answer."""
    return response.status_code, response.content, sorted(response.headers.items()), sorted(response.cookies)


def statements(client: Client, path: str, data: Any) -> tuple[Any, list[str]]:
    """POST, and return all that is seen of the answer, and the kinds of statements that it took, savepoints aside."""
    with CaptureQueriesContext(connection) as context:
        response = ask(client, path, data)
    kinds = [query["sql"].split()[0].upper() for query in context.captured_queries]
    return seen(response), [kind for kind in kinds if kind in {"SELECT", "INSERT", "UPDATE", "DELETE"}]


def who(client: Client) -> int:
    """The status of asking who one is: 200 while the session lives."""
    return int(client.get(f"{WAY}me").status_code)


def live() -> int:
    return RefreshToken.objects.live().count()


def events(kind: Any) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(kind=kind).order_by("id"))
