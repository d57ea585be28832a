"""Steps and checks for tests of the middleware, the cookies and sessions that are bound to their device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import Client

from tests.browsers import ACCESS, login, new_browser
from tests.tokens.protocol import jws
from tests.tokens.service.statements import failing
from tokens.conf import codec, token_settings
from tokens.models import RefreshToken
from tokens.service.revocation import revoke_all

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
    return client.get("/probe/who").json()["pk"]  # type: ignore[no-any-return]


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
    """Return whether the response is a 503 that says when to retry, and neither sets nor clears a cookie."""
    return response.status_code == 503 and int(response["Retry-After"]) > 0 and not response.cookies


def raising(error: Exception | type[Exception]) -> Callable[..., Any]:
    """Return a function that raises this error, whatever it is called with."""

    def fail(*given: Any, **more: Any) -> Any:
        raise error

    return fail


def end_all_sessions() -> None:
    """Revoke all sessions that are live, as a member of the staff does."""
    revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)


def add_middleware(project: Any, path: str, *, inside: bool = False) -> None:
    """Add a middleware to a project's settings, directly outside of ours or directly inside of it."""
    at = project.MIDDLEWARE.index("tokens.middleware.TokenMiddleware") + inside
    project.MIDDLEWARE = [*project.MIDDLEWARE[:at], path, *project.MIDDLEWARE[at:]]


def sign_in_before_us(client: Client, user: Any) -> None:
    """Sign a user in by Django's session, as Django did before the project had our middleware.

    ``force_login`` would run our receiver, which leaves a nonce.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = store.session_key


def claims_of(client: Client) -> Any:
    """Return the claims of the client's access token, which may have expired."""
    return codec().loads_expired(client.cookies[ACCESS].value).claims


def signed_in_as(user: Any, **more: Any) -> Client:
    """Return a new browser in which this user has signed in by the API. ``more``: as of `tests.browsers.login`."""
    browser = new_browser()
    login(browser, user, **more)
    return browser
