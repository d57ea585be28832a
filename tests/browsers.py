"""What a client does, in words: `django.test.Client` with the steps that tests repeat."""

from typing import Any

from django.test import Client

from tests.factories import PASSWORD

ACCESS, REFRESH, DEVICE = "__Host-access", "__Host-refresh", "__Host-device"


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
