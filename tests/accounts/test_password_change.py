"""Changing the password: all other sessions end immediately, this one continues, and the owner gets a mail."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.service import passwords
from tests.accounts.steps import (
    CROSS_ORIGIN,
    CROSS_SITE,
    NEW_PASSWORD,
    NOT_RECENT,
    NOT_SIGNED_IN,
    ask,
    can_sign_in,
    events,
    invalid_fields,
    live,
    problem,
    who,
)
from tests.browsers import ACCESS, login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.ending import end
from tokens.service.feed import feed

pytestmark = pytest.mark.django_db

RIGHT = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


def change(client: Client, data: Any = RIGHT, **headers: str) -> Any:
    return ask(client, "password/change", data, **headers)


def test_the_new_password_signs_in_and_the_old_one_does_not(signed_in, user, another):
    response = change(signed_in)
    assert (response.status_code, response.content) == (204, b"")
    assert can_sign_in(another(), user.email, NEW_PASSWORD)
    assert not can_sign_in(another(), user.email)


def test_this_session_continues_with_the_tokens_it_has(signed_in, clock):
    assert not change(signed_in).cookies
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
    bystander = another()
    login(bystander, UserFactory())
    change(signed_in)
    clock.forward(1)
    for other in others:
        assert other.get("/api/auth/me").json()["code"] == "session_ended"
        assert refresh(other).status_code == 401
    assert who(signed_in) == who(bystander) == 200
    assert live() == 2
    reasons = RefreshToken.objects.exclude(revoked_at=None).values_list("revoked_reason", flat=True)
    assert set(reasons) == {RefreshToken.Reason.PASSWORD_CHANGED}


def test_in_body_mode_the_other_sessions_end_as_well(api, user, another, settings, clock):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    mine, other = (login(another(), user, mode="body") for _ in range(2))

    def bearer(answer: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {answer['access_token']}"}

    assert change(api, **bearer(mine)).status_code == 204
    clock.forward(1)
    assert api.get("/api/auth/me", headers=bearer(mine)).status_code == 200
    assert api.get("/api/auth/me", headers=bearer(other)).json()["code"] == "session_ended"
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


def test_a_request_that_refreshes_its_tokens_keeps_its_session(signed_in, clock):
    clock.forward(601)
    response = change(signed_in)
    assert response.status_code == 204
    assert response.cookies[ACCESS].value
    clock.forward(601)
    assert who(signed_in) == 200


class TestARejectedChange:
    @pytest.fixture(autouse=True)
    def _changes_nothing(self, clock: Any, user: Any, another: Any, mailoutbox: list[Any]) -> Iterator[None]:
        """Check that the password and another session of the user are as before, and that no mail was sent.

        Without it a change that is rejected too late would go unnoticed.
        """
        login(another(), user)
        (session,) = RefreshToken.objects.live()
        yield
        assert User.objects.get(pk=user.pk).check_password(PASSWORD)
        assert RefreshToken.objects.live().contains(session)
        assert not events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert not mailoutbox

    def test_of_a_wrong_current_password(self, signed_in, user):
        assert problem(change(signed_in, RIGHT | {"current_password": "wrong"})) == (401, "invalid_credentials")
        assert events(SecurityEvent.Kind.SIGN_IN_FAILED)[0].user == user

    def test_of_a_client_that_is_not_signed_in(self, api):
        assert problem(change(api)) == NOT_SIGNED_IN

    def test_of_a_sign_in_that_is_not_recent(self, signed_in, clock):
        clock.forward(901)
        assert problem(change(signed_in)) == NOT_RECENT

    def test_from_another_origin(self, signed_in):
        assert problem(change(signed_in, **CROSS_SITE)) == CROSS_ORIGIN

    @pytest.mark.parametrize("new", ["short", "12345678901", "password", "", "x" * 4097], ids=lambda new: new[:12])
    def test_of_a_new_password_that_is_not_good_enough(self, signed_in, new):
        assert invalid_fields(change(signed_in, RIGHT | {"new_password": new})) == ["new_password"]

    def test_of_a_new_password_like_the_address(self, signed_in, user):
        assert invalid_fields(change(signed_in, RIGHT | {"new_password": user.email})) == ["new_password"]

    @pytest.mark.parametrize("missing", RIGHT)
    def test_of_a_missing_field(self, signed_in, missing):
        data = {name: value for name, value in RIGHT.items() if name != missing}
        assert invalid_fields(change(signed_in, data)) == [missing]

    def test_of_an_account_without_a_password(self, signed_in, user):
        User.objects.filter(pk=user.pk).update(password="!nothing")
        assert problem(change(signed_in)) == (401, "invalid_credentials")
        User.objects.filter(pk=user.pk).update(password=user.password)

    def test_in_a_session_that_has_ended_though_its_access_token_is_valid(self, signed_in):
        session = RefreshToken.objects.filter(id=signed_in.get("/api/auth/me").json()["session"]["id"])
        end(session, RefreshToken.Reason.ENDED_BY_STAFF)
        feed._revoked.clear()  # As if another process had ended it, and this one had not read the feed since.
        assert problem(change(signed_in))[1] == "session_ended"


def test_a_password_that_was_changed_during_the_request_is_not_the_current_one(signed_in, user, monkeypatch):
    check = passwords.check_password_rules

    def change_first(password: str, owner: Any) -> None:
        check(password, owner)
        row = User.objects.get(pk=user.pk)
        row.set_password("the password of the first")
        row.save()

    monkeypatch.setattr(passwords, "check_password_rules", change_first)
    assert problem(change(signed_in)) == (401, "invalid_credentials")
    assert User.objects.get().check_password("the password of the first")
