"""What the tests of accounts do and compare, as functions."""

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.links import Purpose
from tests.browsers import ACCESS, REFRESH, post
from tests.factories import PASSWORD
from tokens.models import RefreshToken, SecurityEvent

NEW_PASSWORD = "a brand new and better password"
TWICE = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
"""The new password, as the forms ask for it."""
CROSS_SITE = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
"""The headers that a browser sends with a request from a page of another site."""
HOUR, DAY = 3600, 86400
API = "/api/auth/"

NOT_SIGNED_IN = 401, "not_authenticated"
NOT_RECENT = 403, "reauthentication_required"
CROSS_ORIGIN = 403, "cross_origin"
INVALID_LINK = 400, "invalid_token"


def ask(client: Client, path: str, data: Any = None, **headers: str) -> Any:
    """POST JSON to the auth API."""
    return post(client, API + path, data, **headers)


def problem(response: Any) -> tuple[int, str]:
    """Return the status and the problem code of an error response of the API."""
    return response.status_code, response.json()["code"]


def invalid_fields(response: Any) -> list[str]:
    """Return the names of the fields that the API found invalid."""
    assert problem(response) == (400, "invalid")
    return list(response.json()["errors"])


def form_errors(response: Any) -> set[str]:
    """Return the names of the fields for which a page shows an error."""
    assert response.status_code == 200
    return set(response.context["form"].errors)


def sign_in_by_form(client: Client, user: Any, **more: str) -> Any:
    return client.post("/sign-in", {"username": user.email, "password": PASSWORD, **more})


def can_sign_in(client: Client, email: str, password: str = PASSWORD) -> bool:
    return bool(ask(client, "login", {"email": email, "password": password}).status_code == 200)


def confirm_email(client: Client, token: str) -> Any:
    return ask(client, "email/confirm", {"token": token})


def reset_password(client: Client, token: str, password: str = NEW_PASSWORD, **headers: str) -> Any:
    return ask(client, "password/reset/confirm", {"token": token, "password": password}, **headers)


def use_link(client: Client, purpose: Purpose, token: str) -> Any:
    """Send a link's token to the endpoint that accepts links for this purpose."""
    return (reset_password if purpose is Purpose.PASSWORD_RESET else confirm_email)(client, token)


def seen(response: Any) -> tuple[Any, ...]:
    """Return everything that a client can see of a response."""
    return response.status_code, response.content, sorted(response.headers.items()), sorted(response.cookies)


def clears_the_tokens(response: Any) -> bool:
    """Return whether the response deletes the cookies of both tokens."""
    return all(response.cookies[name]["max-age"] == 0 for name in (ACCESS, REFRESH))


def statements(client: Client, path: str, data: Any) -> tuple[Any, list[str]]:
    """POST to the auth API. Return what `seen` says of the response, and the kinds of SQL statements, in order."""
    with CaptureQueriesContext(connection) as context:
        response = ask(client, path, data)
    kinds = [query["sql"].split()[0].upper() for query in context.captured_queries]
    return seen(response), [kind for kind in kinds if kind in {"SELECT", "INSERT", "UPDATE", "DELETE"}]


def who(client: Client) -> int:
    """Return the status of ``GET /api/auth/me``: 200 while the session is live."""
    return int(client.get(f"{API}me").status_code)


def live() -> int:
    """Return the number of live sessions, of all users."""
    return RefreshToken.objects.live().count()


def events(kind: Any) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(kind=kind).order_by("id"))
