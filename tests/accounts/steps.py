"""What the tests of accounts do and compare, as functions."""

import re
from html import unescape

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browsers import ACCESS, REFRESH, post
from tests.factories import HAS_NAMES, PASSWORD
from tokens.models import RefreshToken, SecurityEvent

NEW_PASSWORD = "a brand new and better password"
TWICE = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
"""The new password, as the forms ask for it."""
CROSS_SITE = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
"""The headers that a browser sends with a request from a page of another site."""
DONE = {
    "register": (202, "/mail-sent"),
    "email/change": (202, "/mail-sent"),
    "email/confirm": (204, "/email/confirmed"),
    "password/reset": (202, "/mail-sent"),
    "password/reset/confirm": (204, "/password/reset/done"),
    "password/change": (204, "/password/changed"),
}
"""The response to a request that succeeds: the status of the API, and where the page redirects to."""
HOUR, DAY = 3600, 86400
UNCONFIRMED = {} if HAS_NAMES else {"email_confirmed_at": None}
"""The fields of a user whose address is not confirmed. Only our own user model has them."""
NAMED = {"username": "somebody"} if HAS_NAMES else {}
"""What a registration names beside the address and the password."""
API = "/api/auth/"


def ask(client, path, data=None, **headers):
    """POST JSON to the auth API. A registration names the user too, where the user name is not the address."""
    return post(client, API + path, _with_name(path, data), **headers)


def fill_in(client, path, data, **headers):
    """POST to the page what `ask` sends to the API. The forms ask for a new password twice."""
    fields = {}
    data = _with_name(path, data)
    for name, value in data.items():
        names = ["password1", "password2"] if name in {"password", "new_password"} else [name]
        fields.update(dict.fromkeys(names, value))
    return client.post(f"/{path}", fields, headers=headers)


def _with_name(path, data):
    if not HAS_NAMES or path.strip("/") != "register" or not isinstance(data, dict):
        return data
    local = str(data.get("email")).partition("@")[0]
    return {"username": re.sub(r"[^\w.+-]", "", local)[:150] or "somebody", **data}


def problem(response) -> str:
    """Return the status, the problem code and the invalid fields of an error: "400 invalid email password"."""
    content = response.json()
    return " ".join([str(response.status_code), content["code"], *content.get("errors", ())])


def outcome(response) -> str:
    """Return "done", or what `problem` calls the error. The result is the same for the API and for the pages."""
    path = response.request["PATH_INFO"].removeprefix("/api/auth").strip("/")
    status, page = DONE[path]
    if response.status_code in {status, 302}:
        return "done" if response.get("Location", page) == page else response["Location"]
    if response.status_code == 200 and "form" not in response.context:
        assert "This link has been used already." in text(response)
        return "400 link_used"
    if response.status_code == 200:
        (field,) = form_errors(response)
        problems = {"__all__": "400 invalid_token", "current_password": "401 invalid_credentials"}
        return problems.get(field, f"400 invalid {field.rstrip('1')}")
    return problem(response).replace("new_password", "password")


def leads_to(response) -> str:
    """Return where a page redirects to."""
    assert response.status_code == 302, response.content
    return str(response["Location"])


def text(response) -> str:
    """Return the HTML of a page, with its characters unescaped."""
    assert response.status_code == 200
    return unescape(response.content.decode())


def form_errors(response) -> set[str]:
    """Return the names of the fields for which a page shows an error."""
    assert response.status_code == 200
    return set(response.context["form"].errors)


def sign_in_by_form(client, user, path="/sign-in", **more):
    return client.post(path, {"username": user.email, "password": PASSWORD, **more})


def signed_in_by_session(user) -> Client:
    """Return a browser in which this user has signed in by something that we do not know, such as another site."""
    client = Client()
    client.force_login(user)
    assert who(client) == 200
    return client


def can_sign_in(client, email, password=PASSWORD) -> bool:
    return bool(ask(client, "login", {"email": email, "password": password}).status_code == 200)


def confirm(client, token, send=ask, password=PASSWORD):
    """Confirm an e-mail address by the token of a link. The password is only used for a registration."""
    return send(client, "email/confirm", {"token": token, "password": password})


def reset_password(client, token, password=NEW_PASSWORD, send=ask, **headers):
    """Reset the password by the token of a link."""
    return send(client, "password/reset/confirm", {"token": token, "password": password}, **headers)


def seen(response):
    """Return everything that a client can see of a response."""
    return response.status_code, response.content, sorted(response.headers.items()), sorted(response.cookies)


def clears_the_tokens(response) -> bool:
    """Return whether the response deletes the cookies of both tokens."""
    return all(response.cookies[name]["max-age"] == 0 for name in (ACCESS, REFRESH))


def statements(client, path, data, send=ask):
    """POST, by default to the API. Return what is `seen` of the response, and the kinds of SQL statements, in order."""
    with CaptureQueriesContext(connection) as context:
        response = send(client, path, data)
    kinds = [query["sql"].split()[0].upper() for query in context.captured_queries]
    return seen(response), [kind for kind in kinds if kind in {"SELECT", "INSERT", "UPDATE", "DELETE"}]


def who(client) -> int:
    """Return the status of ``GET /api/auth/me``: 200 while the session is live."""
    return int(client.get(f"{API}me").status_code)


def live() -> int:
    """Return the number of live sessions, of all users."""
    return RefreshToken.objects.live().count()


def events(kind) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(kind=kind).order_by("id"))
