"""Changing the password: all other sessions end at once, this one lives on, and the owner is told."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.service import passwords
from tests.accounts.steps import NEW_PASSWORD, STRANGE, ask, events, live, who
from tests.browsers import ACCESS, login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.ending import end
from tokens.service.feed import feed

pytestmark = pytest.mark.django_db

RIGHT = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


@pytest.fixture
def signed_in(api: Client, user: Any, clock: Any) -> Client:
    """A browser that has just signed in, in a process that has just read the feed: time stands still from here."""
    login(api, user)
    assert who(api) == 200
    return api


def change(client: Client, data: Any = RIGHT, **headers: str) -> Any:
    return ask(client, "password/change", data, **headers)


def can_sign_in(client: Client, user: Any, password: str) -> bool:
    return bool(ask(client, "login", {"email": user.email, "password": password}).status_code == 200)


def unchanged(user: Any) -> bool:
    return bool(User.objects.get(pk=user.pk).check_password(PASSWORD)) and not events(
        SecurityEvent.Kind.PASSWORD_CHANGED
    )


def test_the_new_password_signs_in_and_the_old_one_does_not(signed_in, user, another):
    response = change(signed_in)
    assert (response.status_code, response.content) == (204, b"")
    assert can_sign_in(another(), user, NEW_PASSWORD)
    assert not can_sign_in(another(), user, PASSWORD)


def test_this_session_lives_on_with_the_tokens_it_has(signed_in, clock):
    response = change(signed_in)
    assert not response.cookies
    assert who(signed_in) == 200
    for _ in range(3):
        clock.forward(601)
        assert who(signed_in) == 200
    assert refresh(signed_in).status_code == 200


def test_all_other_sessions_end_at_once_access_tokens_included(signed_in, user, another, clock):
    others = [another(), another()]
    for other in others:
        login(other, user)
        assert who(other) == 200
    stranger = another()
    login(stranger, UserFactory())
    change(signed_in)
    clock.forward(1)
    for other in others:
        assert other.get("/api/auth/me").json()["code"] == "session_ended"
        assert refresh(other).status_code == 401
    assert who(signed_in) == who(stranger) == 200
    assert live() == 2
    reasons = RefreshToken.objects.exclude(revoked_at=None).values_list("revoked_reason", flat=True)
    assert set(reasons) == {RefreshToken.Reason.PASSWORD_CHANGED}


def test_in_body_mode_too(api, user, another, settings, clock):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    mine, other = (login(another(), user, mode="body") for _ in range(2))

    def as_(answer: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {answer['access_token']}"}

    assert change(api, **as_(mine)).status_code == 204
    clock.forward(1)
    assert api.get("/api/auth/me", headers=as_(mine)).status_code == 200
    assert api.get("/api/auth/me", headers=as_(other)).json()["code"] == "session_ended"
    assert ask(api, "refresh", {"refresh_token": mine["refresh_token"]}).status_code == 200
    assert ask(api, "refresh", {"refresh_token": other["refresh_token"]}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_the_owner_is_told_and_it_is_written_down(signed_in, user, mailoutbox):
    change(signed_in)
    assert [message.to for message in mailoutbox] == [[user.email]]
    assert "/alarm?token=" in mailoutbox[0].body
    assert NEW_PASSWORD not in mailoutbox[0].body
    (event,) = events(SecurityEvent.Kind.PASSWORD_CHANGED)
    assert (event.user, event.session_id) == (user, RefreshToken.objects.get().id)


def test_a_request_whose_token_was_refreshed_on_the_way_keeps_its_session(signed_in, clock):
    clock.forward(601)
    response = change(signed_in)
    assert response.status_code == 204
    assert response.cookies[ACCESS].value
    clock.forward(601)
    assert who(signed_in) == 200


class TestARefusal:
    """Nothing is changed, nothing ends, nobody is told."""

    @pytest.fixture(autouse=True)
    def _another_session(self, user: Any, another: Any, mailoutbox: list[Any]) -> Any:
        login(another(), user)
        before = live()
        yield
        assert unchanged(user)
        assert live() in {before, before + 1}
        assert not mailoutbox

    def test_of_a_wrong_current_password(self, signed_in, user):
        response = change(signed_in, RIGHT | {"current_password": "wrong"})
        assert (response.status_code, response.json()["code"]) == (401, "invalid_credentials")
        assert events(SecurityEvent.Kind.SIGN_IN_FAILED)[0].user == user

    def test_of_a_stranger(self, api):
        assert change(api).json()["code"] == "not_authenticated"

    def test_of_a_sign_in_that_is_not_recent(self, api, user, clock):
        login(api, user)
        clock.forward(901)
        response = change(api)
        assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")

    def test_of_a_page_of_another_origin(self, signed_in):
        response = change(signed_in, **STRANGE)
        assert (response.status_code, response.json()["code"]) == (403, "cross_origin")

    @pytest.mark.parametrize("new", ["short", "12345678901", "password", "", "x" * 4097])
    def test_of_a_new_password_that_is_not_good_enough(self, signed_in, new):
        response = change(signed_in, RIGHT | {"new_password": new})
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["new_password"]

    def test_of_a_new_password_like_the_address(self, signed_in, user):
        response = change(signed_in, RIGHT | {"new_password": user.email})
        assert list(response.json()["errors"]) == ["new_password"]

    @pytest.mark.parametrize("missing", RIGHT)
    def test_of_a_missing_field(self, signed_in, missing):
        response = change(signed_in, {name: value for name, value in RIGHT.items() if name != missing})
        assert list(response.json()["errors"]) == [missing]

    def test_of_an_account_without_a_password(self, signed_in, user):
        before = user.password
        User.objects.filter(pk=user.pk).update(password="!nothing")
        assert change(signed_in).json()["code"] == "invalid_credentials"
        User.objects.filter(pk=user.pk).update(password=before)

    def test_of_a_session_that_ended_though_its_access_token_is_not_dead_yet(self, signed_in, user, clock, another):
        login(another(), user)
        who(signed_in)
        newest = RefreshToken.objects.filter(id=signed_in.get("/api/auth/me").json()["session"]["id"])
        end(newest, RefreshToken.Reason.ENDED_BY_STAFF)
        feed._revoked.clear()  # As if another process had ended it: ours has not heard yet.
        assert change(signed_in).json()["code"] == "session_ended"


def test_a_password_that_was_changed_meanwhile_is_the_current_one_no_more(signed_in, user, monkeypatch):
    check = passwords.check_password_rules

    def somebody_is_faster(password: str, owner: Any) -> None:
        check(password, owner)
        faster = User.objects.get(pk=user.pk)
        faster.set_password("the one of somebody faster")
        faster.save()

    monkeypatch.setattr(passwords, "check_password_rules", somebody_is_faster)
    assert change(signed_in).json()["code"] == "invalid_credentials"
    assert User.objects.get().check_password("the one of somebody faster")
