"""Resetting the password: by a link in a mail, once; all sessions end, and the answer tells nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts import mail
from accounts.links import Purpose, make
from accounts.models import User
from accounts.service import passwords
from tests.accounts.steps import NEW_PASSWORD, STRANGE, ask, events, live, seen, statements
from tests.browsers import login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

HOUR = 3600


@pytest.fixture
def token(api: Client, user: Any, token_in: Callable[[str], str]) -> str:
    """A link in the user's mail."""
    assert ask(api, "password/reset", {"email": user.email}).status_code == 202
    return token_in(user.email)


def reset(client: Client, token: str, password: str = NEW_PASSWORD, **headers: str) -> Any:
    return ask(client, "password/reset/confirm", {"token": token, "password": password}, **headers)


def can_sign_in(client: Client, user: Any, password: str) -> bool:
    return bool(ask(client, "login", {"email": user.email, "password": password}).status_code == 200)


def test_a_link_sets_a_new_password(api, user, token):
    response = reset(api, token)
    assert (response.status_code, response.content, len(response.cookies)) == (204, b"", 0)
    assert can_sign_in(api, user, NEW_PASSWORD)
    assert not can_sign_in(api, user, PASSWORD)


def test_all_sessions_end_at_once(api, user, token_in, another, clock):
    browsers = [another(), another()]
    for browser in browsers:
        login(browser, user)
    bystander = another()
    login(bystander, UserFactory())
    clock.forward(10)
    ask(api, "password/reset", {"email": user.email})
    # The one who resets is signed in too: no session is spared.
    assert reset(browsers[0], token_in(user.email)).status_code == 204
    clock.forward(1)
    for browser in browsers:
        assert browser.get("/api/auth/me").json()["code"] == "session_ended"
        assert refresh(browser).status_code == 401
    assert bystander.get("/api/auth/me").status_code == 200
    ended = RefreshToken.objects.exclude(revoked_at=None)
    assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.PASSWORD_CHANGED}


@pytest.mark.django_db(transaction=True)
def test_the_owner_is_told_and_it_is_written_down(api, user, token, mailoutbox):
    reset(api, token)
    assert [message.to for message in mailoutbox] == [[user.email]] * 2
    assert "was changed" in mailoutbox[1].subject
    (asked,), (changed,) = (
        events(kind) for kind in (SecurityEvent.Kind.PASSWORD_RESET, SecurityEvent.Kind.PASSWORD_CHANGED)
    )
    assert asked.user == changed.user == user
    assert changed.reason == "reset"


def test_the_address_may_be_spelled_in_any_way_and_mail_goes_to_the_one_on_file(api, user, mailoutbox):
    ask(api, "password/reset", {"email": user.email.upper()})
    assert mailoutbox[0].to == [user.email]


class TestNothingTellsWhetherThereIsAnAccount:
    @pytest.fixture
    def answers(self, api: Client, hashed: list[str], user: Any) -> dict[str, Any]:
        UserFactory(email="off@example.org", is_active=False)
        UserFactory(email="never@example.org", is_active=False, email_confirmed_at=None)
        UserFactory(email="bare@example.org", password=None)
        addresses = {"there": user.email} | {name: f"{name}@example.org" for name in ("nobody", "off", "never", "bare")}
        hashed.clear()
        return {name: statements(api, "password/reset", {"email": email}) for name, email in addresses.items()}

    @pytest.mark.parametrize("name", ["nobody", "off", "never", "bare"])
    def test_the_answer_and_the_statements_are_the_same(self, answers, hashed, name):
        assert answers[name] == answers["there"]
        assert hashed == []

    def test_only_an_active_account_that_has_a_password_gets_mail(self, answers, mailoutbox, user):
        assert [message.to for message in mailoutbox] == [[user.email]]

    def test_a_mail_is_composed_for_nobody_too(self, api, db, monkeypatch):
        composed = []
        compose = mail.compose
        monkeypatch.setattr(mail, "compose", lambda *args, **more: composed.append(args) or compose(*args, **more))
        ask(api, "password/reset", {"email": "nobody@example.org"})
        assert composed == [("reset_password", "nobody@example.org")]

    def test_what_nobody_asked_for_is_written_down_too(self, answers, user):
        asked = [event.user_id for event in events(SecurityEvent.Kind.PASSWORD_RESET)]
        assert asked[:2] == [user.pk, None]
        assert len(asked) == 5


class TestALinkDies:
    @pytest.fixture(autouse=True)
    def _nothing_happens(self, user: Any) -> Any:
        yield
        assert not any(person.check_password(NEW_PASSWORD) for person in User.objects.all())

    def refused(self, client: Client, token: str) -> None:
        response = reset(client, token)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_token")

    def test_after_an_hour(self, api, user, clock, token_in):
        ask(api, "password/reset", {"email": user.email})
        clock.forward(HOUR + 1)
        self.refused(api, token_in(user.email))

    def test_when_it_is_used(self, api, user, token):
        assert reset(api, token, "one good password").status_code == 204
        self.refused(api, token)
        assert User.objects.get().check_password("one good password")

    def test_when_the_password_is_changed_by_another_way(self, api, user, token):
        user.set_password("by another way")
        user.save()
        self.refused(api, token)

    def test_when_the_owner_signs_in(self, api, user, token, another):
        login(another(), user)
        self.refused(api, token)

    def test_when_the_address_is_changed(self, api, user, token):
        user.email = "new@example.org"
        user.save()
        self.refused(api, token)

    def test_when_the_account_is_switched_off(self, api, user, token):
        user.is_active = False
        user.save()
        self.refused(api, token)

    def test_when_the_account_is_deleted(self, api, user, token):
        user.delete()
        self.refused(api, token)

    @pytest.mark.parametrize("place", [0, 10, -1, -20])
    def test_if_a_character_is_another(self, api, token, place):
        letters = list(token)
        letters[place] = "A" if letters[place] not in "ABCD" else "z"
        self.refused(api, "".join(letters))

    @pytest.mark.parametrize("purpose", [Purpose.REGISTRATION, Purpose.EMAIL_CHANGE])
    def test_if_it_is_for_something_else(self, api, user, purpose):
        self.refused(api, make(purpose, user, "new@example.org"))

    def test_without_a_query_if_it_is_nonsense(self, api, user, django_assert_num_queries):
        with django_assert_num_queries(0):
            self.refused(api, "nonsense")


@pytest.mark.parametrize("password", ["short", "12345678", "password", ""])
def test_a_password_that_is_not_good_enough_does_not_use_the_link_up(api, user, token, password):
    response = reset(api, token, password)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["password"]
    assert reset(api, token).status_code == 204


def test_nor_does_one_like_the_address(api, user, token):
    assert list(reset(api, token, user.email).json()["errors"]) == ["password"]


@pytest.mark.parametrize("missing", ["token", "password"])
def test_a_missing_field_is_named(api, token, missing):
    data = {"token": token, "password": NEW_PASSWORD}
    del data[missing]
    assert list(ask(api, "password/reset/confirm", data).json()["errors"]) == [missing]


def test_a_page_of_another_origin_is_refused(api, user, token):
    assert reset(api, token, **STRANGE).json()["code"] == "cross_origin"
    assert User.objects.get().check_password(PASSWORD)


def test_two_who_use_a_link_at_once_are_one_too_many(api, user, token, monkeypatch, another):
    check = passwords.check_password_rules

    def somebody_is_faster(password: str, owner: Any) -> None:
        monkeypatch.setattr(passwords, "check_password_rules", check)
        assert reset(another(), token, "the one of somebody faster").status_code == 204
        check(password, owner)

    monkeypatch.setattr(passwords, "check_password_rules", somebody_is_faster)
    assert seen(reset(api, token)) == seen(reset(api, "nonsense"))
    assert User.objects.get().check_password("the one of somebody faster")
    assert live() == 0
