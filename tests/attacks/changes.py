"""What a session can do to its account, its devices and other sessions: by the API, and on pages."""

import json
from collections.abc import Callable
from typing import Any

from accounts.models import User
from tokens.models import Device, RefreshToken, SecurityEvent


def other_session() -> RefreshToken:
    """Return the session that was opened first."""
    return RefreshToken.objects.order_by("id")[0]


def send(method: str, path: str, **data: Any) -> Callable[..., Any]:
    """Return a function that sends this request to the API with the given members added to its body."""

    def request(client: Any, headers: Any = None, **proof: Any) -> Any:
        other, own = RefreshToken.objects.order_by("id")[:2]
        body = {**data, **proof}
        text = json.dumps(body) if body else ""
        url = f"/api/auth/{path.format(own=own.pk, other=other.pk)}"
        return client.generic(method, url, text, "application/json", headers=headers)

    return request


CHANGES = {
    "a new address is asked for": send("POST", "email/change", email="thief@example.org"),
    "the account is deleted": send("DELETE", "me"),
    "all other sessions are ended": send("DELETE", "sessions"),
    "another session is ended": send("DELETE", "sessions/{other}"),
    "another device is named": send("PATCH", "sessions/{other}", device_name="mine"),
    "this device is named": send("PATCH", "sessions/{own}", device_name="mine"),
}
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "the page to change the address": ("/email/change", {"email": "thief@example.org"}),
    "the page to delete the account": ("/account/delete", {"sure": "on"}),
    "the button that ends all other sessions": ("/sessions/end-others", {}),
    "the button that ends another session": ("/sessions/{other}/end", {}),
    "the form that names another device": ("/sessions/{other}/rename", {"name": "mine"}),
}


def submit(client: Any, page: tuple[str, dict[str, str]], **more: str) -> Any:
    """Send the form of one of `PAGES`."""
    path, filled_in = page
    return client.post(path.format(other=other_session().pk), {**filled_in, **more})


def everything() -> list[Any]:
    """Return every row that a change could write, but the events of failed sign-ins."""
    return [
        *(list(rows.order_by("pk").values()) for rows in (User.objects, Device.objects, RefreshToken.objects)),
        SecurityEvent.objects.exclude(kind=SecurityEvent.Kind.SIGN_IN_FAILED).count(),
    ]
