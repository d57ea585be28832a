"""What a client does, in words: `django.test.Client` with the steps that tests repeat."""

from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.base import BaseHandler
from django.test import Client
from django.test.client import ClientHandler

from tests.factories import PASSWORD

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
ACCESS, REFRESH, DEVICE, OPEN = "__Host-access", "__Host-refresh", "__Host-device", "__Host-open"


def post(client: Client, path: str, data: Any = None, **headers: str) -> Any:
    """POST JSON."""
    return client.post(path, data, content_type="application/json", headers=headers)


def login(client: Client, user: Any, **more: Any) -> Any:
    """Sign in, and return the answer's JSON."""
    response = post(client, "/api/auth/login", {"email": user.email, "password": PASSWORD, **more})
    assert response.status_code == 200, response.content
    return response.json()


def refresh(client: Client, token: str | None = None) -> Any:
    """Present a refresh token, the browser's own unless another is given by cookie."""
    if token is not None:
        client.cookies[REFRESH] = token
    return post(client, "/api/auth/refresh")


class AsyncHandler(ClientHandler):
    """Calls the middleware as an ASGI server does: every one that can be async is."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=True)

    def get_response(self, request: Any) -> Any:
        return async_to_sync(BaseHandler.get_response_async)(self, request)  # type: ignore[arg-type]


class AsyncBrowser(Client):
    """A browser whose requests go through the async stack."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handler = AsyncHandler(enforce_csrf_checks=False)
