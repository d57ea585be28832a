"""Steps and assertions that the tests of the API share."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, post
from tests.factories import PASSWORD
from tests.tokens.service.holders import change_password, deactivate_in_sql
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken
from tokens.service.revocation import revoke

OF_BODY = {"access_token", "access_token_expires_at", "token_type", "expires_in"}
"""What the body of a response has in mode ``body``, if no refresh token is in it."""


def sign_in(client: Client, user: Any, **more: Any) -> str:
    """Sign in, and return the id of the session."""
    return str(login(client, user, **more)["session"]["id"])


def state_of(session_id: str) -> str:
    """Return "live", the reason for which the session was revoked, or "expired"."""
    row = RefreshToken.objects.get(id=session_id)
    is_live = RefreshToken.objects.live().filter(id=session_id).exists()
    return "live" if is_live else row.revoked_reason or "expired"


def client_with(**cookies: str) -> Client:
    """Return a client that holds nothing but these cookies, by their names without a prefix."""
    client = Client()
    for name, value in cookies.items():
        client.cookies[{"access": ACCESS, "refresh": REFRESH, "device": DEVICE}[name]] = value
    return client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def max_ages(response: Any) -> dict[str, Any]:
    """Return the ``Max-Age`` of each cookie that a response sets. It is 0 where the cookie is deleted."""
    return {name: cookie["max-age"] for name, cookie in response.cookies.items()}


def refusal(response: Any) -> tuple[int, str]:
    """Return the status and the code of a response that is a problem."""
    return response.status_code, response.json()["code"]


def assert_problem(response: Any, status: int, code: str = "") -> dict[str, Any]:
    """Fail unless the response is a problem (RFC 9457) with this status and this code. Return the problem."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.content)
    assert set(problem) - {"errors", "offered"} == {"type", "title", "status", "code", "detail"}
    assert (problem["type"], problem["title"]) == ("about:blank", HTTPStatus(status).phrase)
    assert (problem["status"], problem["code"]) == (status, code or problem["code"])
    assert problem["code"]
    assert problem["detail"]
    return problem


def change_password_elsewhere(user: Any) -> None:
    """Let the user change the password in another browser. That ends all other sessions."""
    fields = {"current_password": PASSWORD, "new_password": "a new password, long enough"}
    assert post(signed_in_as(user), "/api/auth/password/change", fields).status_code == 204


def deactivate(user: Any) -> None:
    user.is_active = False
    user.save()


def revoke_row(row: RefreshToken) -> None:
    revoke(RefreshToken.objects.filter(pk=row.pk), RefreshToken.Reason.ENDED_BY_STAFF)


def change(row: RefreshToken, **values: Any) -> None:
    RefreshToken.objects.filter(pk=row.pk).update(**values)


ENDINGS: dict[str, Callable[[RefreshToken], Any]] = {
    "a revoked session": revoke_row,
    "a deleted session": lambda row: row.delete(),
    "a session that is too old": lambda row: change(row, expires_at=row.created_at),
    "a session that was unused for too long": lambda row: change(row, idle_expires_at=row.created_at),
    "a new password": lambda row: change_password(row.user),
    "a user who was deactivated": lambda row: deactivate(row.user),
    "a user who was deactivated in SQL": lambda row: deactivate_in_sql(row.user),
    "a deleted user": lambda row: row.user.delete(),
}
"""Events after which a refresh token must be rejected, each a function of the session."""
