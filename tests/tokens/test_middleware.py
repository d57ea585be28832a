"""The middleware: signed in without a query, refreshed unseen, and which answers may set or clear cookies."""

from typing import Any

import pytest
from django.test import Client

from tests.browsers import login

pytestmark = pytest.mark.django_db


def test_an_expired_access_token_is_refreshed_and_the_same_request_served(api: Client, user: Any, clock: Any) -> None:
    login(api, user)
    clock.forward(601)
    response = api.get("/api/auth/me")
    assert response.status_code == 200
    assert response.json()["user"]["email"] == user.email
    assert set(response.cookies) == {"__Host-access", "__Host-refresh"}
