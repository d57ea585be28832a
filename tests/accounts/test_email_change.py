"""Changing the e-mail address: confirmed from the new one, told to the old one, and nobody learns what is taken."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, STRANGE, ask, events, seen, statements, who
from tests.browsers import login
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

NEW = "new@example.org"
DAY = 86400


@pytest.fixture
def signed_in(api: Client, user: Any, clock: Any) -> Client:
    """A browser that has just signed in, in a process that has just read the feed: time stands still from here."""
    login(api, user)
    assert who(api) == 200
    return api


def change(client: Client, email: str = NEW, **headers: str) -> Any:
    return ask(client, "email/change", {"email": email}, **headers)


def confirm(client: Client, token: str) -> Any:
    return ask(client, "email/confirm", {"token": token})


def can_sign_in(client: Client, email: str, password: str = PASSWORD) -> bool:
    return bool(ask(client, "login", {"email": email, "password": password}).status_code == 200)


def test_it_happens_when_it_is_confirmed_from_the_new_address(signed_in, user, another, token_in):
    assert change(signed_in).status_code == 202
    assert User.objects.get().email == user.email
    assert confirm(another(), token_in(NEW)).status_code == 204
    assert User.objects.get().email == NEW
    assert can_sign_in(another(), NEW)
    assert not can_sign_in(another(), user.email)


def test_the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done(signed_in, user, mailoutbox, token_in):
    change(signed_in)
    assert [message.to for message in mailoutbox] == [[NEW], [user.email]]
    assert NEW in mailoutbox[1].body
    assert "token=" not in mailoutbox[1].body
    confirm(signed_in, token_in(NEW))
    assert mailoutbox[2].to == [user.email]
    assert NEW in mailoutbox[2].body
    assert "/alarm?token=" in mailoutbox[2].body
    assert len(mailoutbox) == 3


def test_it_is_written_down(signed_in, user, another, token_in):
    change(signed_in)
    confirm(another(), token_in(NEW))
    asked, done = (events(kind)[0] for kind in (SecurityEvent.Kind.EMAIL_CHANGE, SecurityEvent.Kind.EMAIL_CHANGED))
    assert asked.user == done.user == user
    assert asked.session_id == RefreshToken.objects.get().id
    assert done.session_id is None  # Confirmed in another browser.


def test_sessions_live_on(signed_in, token_in, clock):
    change(signed_in)
    confirm(signed_in, token_in(NEW))
    assert who(signed_in) == 200
    clock.forward(601)
    assert signed_in.get("/api/auth/me").json()["user"]["email"] == NEW


def test_an_address_is_one_in_any_spelling(signed_in, token_in):
    change(signed_in, "New@Example.ORG")
    confirm(signed_in, token_in(NEW))
    assert User.objects.get().email == NEW


class TestATakenAddress:
    @pytest.mark.parametrize("is_active", [True, False])
    def test_is_not_told_from_a_free_one(self, signed_in, is_active, hashed):
        UserFactory(email="taken@example.org", is_active=is_active)
        hashed.clear()
        free = statements(signed_in, "email/change", {"email": "free@example.org"})
        assert statements(signed_in, "email/change", {"email": "taken@example.org"}) == free
        assert hashed == []

    def test_gets_a_mail_without_a_link_that_would_change_anything(self, signed_in, user, mailoutbox):
        UserFactory(email=NEW)
        change(signed_in)
        assert [message.to for message in mailoutbox] == [[NEW], [user.email]]
        assert "There is one already" in mailoutbox[0].body
        assert "token=" not in mailoutbox[0].body

    def test_that_was_taken_meanwhile_is_refused_like_any_bad_link(self, signed_in, user, token_in, mailoutbox):
        change(signed_in)
        UserFactory(email=NEW)
        refused = confirm(signed_in, token_in(NEW))
        assert seen(refused) == seen(confirm(signed_in, "nonsense"))
        user.refresh_from_db()
        assert user.email != NEW
        assert not events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert len(mailoutbox) == 2

    def test_by_somebody_who_never_confirmed_it_does_not_stand_in_the_way(self, signed_in, user, token_in):
        ask(signed_in, "register", {"email": NEW, "password": NEW_PASSWORD})
        change(signed_in)
        assert confirm(signed_in, token_in(NEW)).status_code == 204
        assert User.objects.get() == user


class TestALinkDies:
    @pytest.fixture
    def token(self, signed_in: Client, token_in: Callable[[str], str]) -> str:
        change(signed_in)
        return token_in(NEW)

    def refused(self, client: Client, token: str) -> None:
        """The one answer to every link that is not good, and nobody has the new address."""
        response = confirm(client, token)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_token")
        assert not User.objects.filter(email=NEW).exists()

    def test_after_a_day(self, api, user, clock, token_in):
        login(api, user)
        change(api)
        clock.forward(DAY + 1)
        self.refused(api, token_in(NEW))

    def test_when_it_is_used(self, signed_in, token):
        confirm(signed_in, token)
        assert confirm(signed_in, token).json()["code"] == "invalid_token"

    def test_when_another_change_is_done(self, signed_in, token, user, token_in):
        change(signed_in, "newer@example.org")
        confirm(signed_in, token_in("newer@example.org"))
        self.refused(signed_in, token)

    def test_when_the_password_is_changed(self, signed_in, token, user):
        ask(signed_in, "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
        self.refused(signed_in, token)

    def test_when_the_account_is_switched_off(self, signed_in, token, user):
        User.objects.update(is_active=False)
        self.refused(signed_in, token)

    def test_when_the_account_is_deleted(self, signed_in, token, user):
        user.delete()
        self.refused(signed_in, token)

    @pytest.mark.parametrize("purpose", [Purpose.REGISTRATION, Purpose.PASSWORD_RESET])
    def test_before_it_lives_if_it_is_for_something_else(self, signed_in, user, purpose, token):
        user.refresh_from_db()
        other = make(purpose, user, NEW)
        if purpose is Purpose.REGISTRATION:
            # Its signature is good here: it confirms the address that is there, and no other.
            confirm(signed_in, other)
            assert not User.objects.filter(email=NEW).exists()
        else:
            self.refused(signed_in, other)


class TestARefusal:
    def test_of_a_stranger(self, api, mailoutbox, db):
        response = change(api)
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        assert not mailoutbox

    def test_of_a_sign_in_that_is_not_recent(self, api, user, clock, mailoutbox):
        login(api, user)
        clock.forward(901)
        response = change(api)
        assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
        assert not mailoutbox
        ask(api, "reauthenticate", {"password": PASSWORD})
        assert change(api).status_code == 202

    def test_of_a_page_of_another_origin(self, signed_in, mailoutbox):
        response = change(signed_in, **STRANGE)
        assert (response.status_code, response.json()["code"]) == (403, "cross_origin")
        assert not mailoutbox

    def test_of_the_address_that_is_theirs_already(self, signed_in, user, mailoutbox):
        response = change(signed_in, user.email.upper())
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["email"]
        assert not mailoutbox

    @pytest.mark.parametrize("data", [{}, {"email": ""}, {"email": "no address"}, {"email": f"{NEW}\nCc: a@b.example"}])
    def test_of_what_is_no_address(self, signed_in, data, mailoutbox):
        response = ask(signed_in, "email/change", data)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["email"]
        assert not mailoutbox

    def test_of_somebody_who_is_gone_but_whose_token_lives(self, signed_in, user, mailoutbox):
        QuerySet(User).filter(pk=user.pk).update(is_active=False)  # As raw SQL would: nobody is told.
        assert change(signed_in).status_code in {401, 403}
        assert not mailoutbox
