"""What tests of the request edge (middleware, cookies, device-bound sessions) do and look at."""

from contextlib import AbstractContextManager
from typing import Any

from django.test import Client

from tests.tokens.protocol import jws
from tests.tokens.service.statements import failing
from tokens.conf import token_settings

EXPIRED = 601
"""Seconds after a sign-in or a refresh, when the access token has expired."""
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
"""The headers of a request for a page. Only such a request, and one to the auth API, may clear cookies."""


def unsigned(kind: str = "at+jwt", **claims: Any) -> str:
    """Return a token without a signature that says it is ours, except for what is given."""
    claims = {"iss": token_settings().issuer, **claims}
    return f"{jws.encoded({'alg': 'none', 'typ': kind})}.{jws.encoded(claims)}."


def who(client: Client) -> str | None:
    """Return the primary key of the user as whom the server serves this client, or None."""
    pk: str | None = client.get("/probe/who").json()["pk"]
    return pk


def set_by(response: Any) -> set[str]:
    """Return the names of the cookies to which the response gives a value."""
    return {name for name, morsel in response.cookies.items() if morsel.value}


def cleared(response: Any) -> set[str]:
    """Return the names of the cookies that the response deletes."""
    return {name for name, morsel in response.cookies.items() if not morsel.value}


def values_of(client: Client, *names: str) -> dict[str, str]:
    """Return the values of the client's cookies, all that are not empty or those of these names."""
    return {name: client.cookies[name].value for name in names or client.cookies if client.cookies[name].value}


def database_down() -> AbstractContextManager[Any]:
    """Let every statement of this thread fail, as when the database cannot be reached."""
    return failing()


def is_unavailable(response: Any) -> bool:
    """Whether the response is a 503 that says when to retry, and neither sets nor clears a cookie."""
    return response.status_code == 503 and int(response["Retry-After"]) > 0 and not response.cookies
