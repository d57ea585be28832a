"""Deleting one's own account: everything that it held ends with it, at once."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.steps import STRANGE, ask, events
from tests.browsers import ACCESS, REFRESH, login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db


def delete(client: Client, path: str = "/api/auth/me", **headers: str) -> Any:
    return client.delete(path, headers=headers)


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/me/"])
def test_the_account_is_gone_and_the_cookies_are_cleared(api, user, path):
    login(api, user)
    response = delete(api, path)
    assert (response.status_code, response.content) == (204, b"")
    assert {name: cookie["max-age"] for name, cookie in response.cookies.items() if name in {ACCESS, REFRESH}} == {
        ACCESS: 0,
        REFRESH: 0,
    }
    assert not User.objects.exists()
    assert ask(api, "login", {"email": user.email, "password": PASSWORD}).json()["code"] == "invalid_credentials"


def test_all_its_sessions_end_at_once_access_tokens_included(api, user, another, clock):
    other, bystander = another(), another()
    login(other, user)
    login(bystander, UserFactory())
    login(api, user)
    kept = {name: cookie.value for name, cookie in api.cookies.items()}
    delete(api)
    clock.forward(1)
    thief = another()
    thief.cookies.load(kept)
    for client in (other, thief):
        assert client.get("/api/auth/me").json()["code"] == "session_ended"
    assert refresh(other).status_code == 401
    assert bystander.get("/api/auth/me").status_code == 200


def test_what_happened_outlives_it(api, user, mailoutbox):
    login(api, user)
    delete(api)
    assert not RefreshToken.objects.exists()
    assert not Device.objects.exists()
    (event,) = events(SecurityEvent.Kind.REVOKED)
    assert event.reason == RefreshToken.Reason.USER_DELETED
    assert [message.to for message in mailoutbox] == [[user.email]]


def test_the_address_can_be_registered_anew(api, user):
    login(api, user)
    delete(api)
    ask(api, "register", {"email": user.email, "password": PASSWORD})
    assert User.objects.get().email == user.email


def test_who_is_signed_in_by_a_page_is_signed_out_of_django_too(api, user):
    api.post("/sign-in", {"username": user.email, "password": PASSWORD})
    delete(api)
    assert "_auth_user_id" not in api.session


def test_me_still_tells_who_one_is(api, user):
    login(api, user)
    assert api.get("/api/auth/me").json()["user"]["email"] == user.email


class TestARefusal:
    @pytest.fixture(autouse=True)
    def _nothing_is_deleted(self, user: Any, mailoutbox: list[Any]) -> Any:
        yield
        assert User.objects.filter(pk=user.pk).exists()
        assert not mailoutbox

    def test_of_a_stranger(self, api):
        assert delete(api).json()["code"] == "not_authenticated"

    def test_of_a_sign_in_that_is_not_recent(self, api, user, clock):
        login(api, user)
        clock.forward(901)
        response = delete(api)
        assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
        assert api.get("/api/auth/me").status_code == 200

    def test_of_a_page_of_another_origin(self, api, user):
        login(api, user)
        response = delete(api, **STRANGE)
        assert (response.status_code, response.json()["code"]) == (403, "cross_origin")
