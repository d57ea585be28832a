"""`django.test.Client` as a browser, with the steps that many tests repeat."""

from collections.abc import Collection, Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.base import BaseHandler
from django.test import Client
from django.test.client import ClientHandler

from tests.factories import PASSWORD

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
ACCESS, REFRESH, DEVICE, OPEN = "__Host-access", "__Host-Http-refresh", "__Host-Http-device", "__Host-open"
VOUCHER = "__Host-Http-voucher"
SESSION = "__Host-session"
"""The cookie of Django's own session."""


def post(client: Client, path: str, data: Any = None, **headers: str) -> Any:
    """Send a POST request with a JSON body, and return the response."""
    return client.post(path, data, content_type="application/json", headers=headers)


def login(client: Client, user: Any, **more: Any) -> Any:
    """Sign in by the API, and return the JSON of the response. ``more``: further members of the request's body."""
    response = post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD, **more})
    assert response.status_code == 200, response.content
    return response.json()


def refresh(client: Client, token: str | None = None) -> Any:
    """Refresh by cookie, and return the response. ``token``: a refresh token to use instead of the browser's own."""
    if token is not None:
        client.cookies[REFRESH] = token
    return post(client, "/api/auth/refresh")


def new_browser(cookies: Mapping[str, str] | None = None, **options: Any) -> Client:
    """Return a new browser, which sends a real User-Agent. It has these cookies."""
    browser = Client(headers={"User-Agent": FIREFOX}, **options)
    browser.cookies.load({**(cookies or {})})
    return browser


def browser_at(address: str, cookies: Mapping[str, str] | None = None) -> Client:
    """Return a new browser at this IP address."""
    return new_browser(cookies, REMOTE_ADDR=address)


def copy_of(browser: Client, *names: str, without: Collection[str] = ()) -> Client:
    """Return another browser of the kind with these cookies of this one, or with all except some."""
    copy = type(browser)(headers={"User-Agent": FIREFOX})
    found = {name: morsel.value for name, morsel in browser.cookies.items() if morsel.value and name not in without}
    copy.cookies.load({name: value for name, value in found.items() if not names or name in names})
    return copy


class AsyncHandler(ClientHandler):
    """Calls the middlewares as an ASGI server does: the async version of each middleware that has one."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=True)

    def get_response(self, request: Any) -> Any:
        return async_to_sync(BaseHandler.get_response_async)(self, request)  # type: ignore[arg-type]


class AsyncBrowser(Client):
    """A browser whose requests pass through the async versions of the middlewares."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handler = AsyncHandler(enforce_csrf_checks=False)
