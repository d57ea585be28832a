"""Resetting the password by a link in a mail: all sessions end, and no response shows whether there is an account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import mail
from accounts.models import User
from accounts.service import passwords
from tests.accounts.steps import (
    CROSS_SITE,
    NEW_PASSWORD,
    ask,
    can_sign_in,
    events,
    invalid_fields,
    live,
    problem,
    reset_password,
    seen,
    statements,
    who,
)
from tests.browsers import login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(api: Client, user: Any, token_in: Callable[[str], str]) -> str:
    """The token of the link that was mailed to `user`, spelled in upper case by the client.

    Without the mail, a link that is wrong or goes to the address as the client spelled it would go unnoticed.
    """
    assert ask(api, "password/reset", {"email": user.email.upper()}).status_code == 202
    return token_in(user.email)


def test_a_link_sets_a_new_password(api, user, token):
    response = reset_password(api, token)
    assert (response.status_code, response.content, len(response.cookies)) == (204, b"", 0)
    assert can_sign_in(api, user.email, NEW_PASSWORD)
    assert not can_sign_in(api, user.email)


def test_all_sessions_end_at_once(api, user, token_in, another, clock):
    browsers = [another(), another()]
    for browser in browsers:
        login(browser, user)
    bystander = another()
    login(bystander, UserFactory())
    clock.forward(10)
    ask(api, "password/reset", {"email": user.email})
    assert reset_password(browsers[0], token_in(user.email)).status_code == 204, "From a session: it ends as well."
    clock.forward(1)
    for browser in browsers:
        assert browser.get("/api/auth/me").json()["code"] == "session_ended"
        assert refresh(browser).status_code == 401
    assert who(bystander) == 200
    ended = RefreshToken.objects.exclude(revoked_at=None)
    assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.PASSWORD_CHANGED}


@pytest.mark.django_db(transaction=True)
def test_the_owner_is_told_and_it_is_recorded(api, user, token, mailoutbox):
    reset_password(api, token)
    assert [message.to for message in mailoutbox] == [[user.email]] * 2
    assert "was changed" in mailoutbox[1].subject
    (asked,), (changed,) = events(SecurityEvent.Kind.PASSWORD_RESET), events(SecurityEvent.Kind.PASSWORD_CHANGED)
    assert asked.user == changed.user == user
    assert changed.reason == "reset"


class TestNothingShowsWhetherThereIsAnAccount:
    OTHERS = ["nobody", "off", "never", "bare"]

    @pytest.fixture
    def answers(self, api: Client, hashed: list[str], user: Any) -> dict[str, Any]:
        """The response and the statements for an active account, for no account, and for those that get no mail.

        Without a comparison of both, an attacker could still learn from the time which addresses have an account.
        """
        UserFactory(email="off@example.org", is_active=False)
        UserFactory(email="never@example.org", is_active=False, email_confirmed_at=None)
        UserFactory(email="bare@example.org", password=None)
        addresses = {"there": user.email} | {name: f"{name}@example.org" for name in self.OTHERS}
        hashed.clear()
        return {name: statements(api, "password/reset", {"email": email}) for name, email in addresses.items()}

    @pytest.mark.parametrize("name", OTHERS)
    def test_the_response_and_the_statements_are_the_same(self, answers, hashed, name):
        assert answers[name] == answers["there"]
        assert hashed == []

    def test_only_an_active_account_with_a_password_gets_mail_and_every_request_is_recorded(
        self, answers, mailoutbox, user
    ):
        assert [message.to for message in mailoutbox] == [[user.email]]
        asked = [event.user_id for event in events(SecurityEvent.Kind.PASSWORD_RESET)]
        assert (asked[:2], len(asked)) == ([user.pk, None], 5)

    def test_a_mail_is_composed_for_an_unknown_address_as_well(self, api, monkeypatch):
        composed = []
        compose = mail.compose
        monkeypatch.setattr(mail, "compose", lambda *args, **more: composed.append(args) or compose(*args, **more))
        ask(api, "password/reset", {"email": "nobody@example.org"})
        assert composed == [("reset_password", "nobody@example.org")]


@pytest.mark.parametrize("password", ["short", "12345678", "password", "", "the address of the user"])
def test_a_bad_password_is_rejected_and_the_link_stays_valid(api, user, token, password):
    bad = user.email if password == "the address of the user" else password
    assert invalid_fields(reset_password(api, token, bad)) == ["password"]
    assert reset_password(api, token).status_code == 204


@pytest.mark.parametrize("missing", ["token", "password"])
def test_a_missing_field_is_named(api, token, missing):
    data = {"token": token, "password": NEW_PASSWORD}
    del data[missing]
    assert invalid_fields(ask(api, "password/reset/confirm", data)) == [missing]


def test_a_request_from_another_origin_is_rejected(api, user, token):
    assert problem(reset_password(api, token, **CROSS_SITE))[1] == "cross_origin"
    assert User.objects.get().check_password(PASSWORD)


def test_of_two_parallel_requests_with_one_link_the_later_is_rejected(api, user, token, monkeypatch, another):
    check = passwords.check_password_rules

    def reset_first(password: str, owner: Any) -> None:
        monkeypatch.setattr(passwords, "check_password_rules", check)
        assert reset_password(another(), token, "the password of the first").status_code == 204
        check(password, owner)

    monkeypatch.setattr(passwords, "check_password_rules", reset_first)
    assert seen(reset_password(api, token)) == seen(reset_password(api, "nonsense"))
    assert User.objects.get().check_password("the password of the first")
    assert live() == 0
