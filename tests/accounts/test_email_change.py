"""Changing the e-mail address: the new one confirms, the old one is notified, and no response shows which are taken."""

from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from tests.accounts.steps import (
    CROSS_ORIGIN,
    CROSS_SITE,
    NEW_PASSWORD,
    NOT_RECENT,
    NOT_SIGNED_IN,
    ask,
    can_sign_in,
    confirm_email,
    events,
    invalid_fields,
    problem,
    seen,
    statements,
    who,
)
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

NEW = "new@example.org"


def change(client: Client, email: str = NEW, **headers: str) -> Any:
    return ask(client, "email/change", {"email": email}, **headers)


@pytest.mark.parametrize("spelling", [NEW, "New@Example.ORG"])
def test_the_address_is_changed_when_the_link_in_the_new_mailbox_is_used(signed_in, user, another, token_in, spelling):
    assert change(signed_in, spelling).status_code == 202
    assert User.objects.get().email == user.email
    assert confirm_email(another(), token_in(NEW)).status_code == 204
    assert User.objects.get().email == NEW
    assert can_sign_in(another(), NEW)
    assert not can_sign_in(another(), user.email)


def test_the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done(signed_in, user, mailoutbox, token_in):
    change(signed_in)
    assert [message.to for message in mailoutbox] == [[NEW], [user.email]]
    assert NEW in mailoutbox[1].body
    assert "token=" not in mailoutbox[1].body
    confirm_email(signed_in, token_in(NEW))
    assert [message.to for message in mailoutbox] == [[NEW], [user.email], [user.email]]
    assert NEW in mailoutbox[2].body
    assert "/alarm?token=" in mailoutbox[2].body


def test_both_steps_are_recorded(signed_in, user, another, token_in):
    change(signed_in)
    confirm_email(another(), token_in(NEW))
    (asked,), (done,) = events(SecurityEvent.Kind.EMAIL_CHANGE), events(SecurityEvent.Kind.EMAIL_CHANGED)
    assert asked.user == done.user == user
    assert asked.session_id == RefreshToken.objects.get().id
    assert done.session_id is None, "It was confirmed in a browser without a session."


def test_sessions_continue(signed_in, token_in, clock):
    change(signed_in)
    confirm_email(signed_in, token_in(NEW))
    assert who(signed_in) == 200
    clock.forward(601)
    assert signed_in.get("/api/auth/me").json()["user"]["email"] == NEW


class TestATakenAddress:
    @pytest.mark.parametrize("is_active", [True, False])
    def test_gets_the_same_response_as_a_free_one(self, signed_in, is_active, hashed):
        UserFactory(email="taken@example.org", is_active=is_active)
        hashed.clear()
        free = statements(signed_in, "email/change", {"email": "free@example.org"})
        assert statements(signed_in, "email/change", {"email": "taken@example.org"}) == free
        assert hashed == []

    def test_gets_a_mail_without_a_link_that_changes_anything(self, signed_in, user, mailoutbox):
        UserFactory(email=NEW)
        change(signed_in)
        assert [message.to for message in mailoutbox] == [[NEW], [user.email]]
        assert "There is one already" in mailoutbox[0].body
        assert "token=" not in mailoutbox[0].body

    def test_that_was_taken_after_the_mail_is_rejected_like_an_invalid_link(
        self, signed_in, user, token_in, mailoutbox
    ):
        change(signed_in)
        UserFactory(email=NEW)
        assert seen(confirm_email(signed_in, token_in(NEW))) == seen(confirm_email(signed_in, "nonsense"))
        user.refresh_from_db()
        assert user.email != NEW
        assert not events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert len(mailoutbox) == 2

    def test_that_was_never_confirmed_can_be_claimed_by_its_owner(self, signed_in, user, token_in):
        ask(signed_in, "register", {"email": NEW, "password": NEW_PASSWORD})
        change(signed_in)
        assert confirm_email(signed_in, token_in(NEW)).status_code == 204
        assert User.objects.get() == user


class TestARejectedRequest:
    @pytest.fixture(autouse=True)
    def _no_mail(self, mailoutbox: list[Any]) -> Any:
        """Check that no mail was sent. Without it a request that is rejected too late would go unnoticed."""
        yield
        assert not mailoutbox

    def test_of_a_client_that_is_not_signed_in(self, api):
        assert problem(change(api)) == NOT_SIGNED_IN

    def test_of_a_sign_in_that_is_not_recent(self, signed_in, clock, mailoutbox):
        clock.forward(901)
        assert problem(change(signed_in)) == NOT_RECENT
        assert not mailoutbox
        ask(signed_in, "reauthenticate", {"password": PASSWORD})
        assert change(signed_in).status_code == 202
        mailoutbox.clear()

    def test_from_another_origin(self, signed_in):
        assert problem(change(signed_in, **CROSS_SITE)) == CROSS_ORIGIN

    def test_for_the_address_that_the_user_has(self, signed_in, user):
        assert invalid_fields(change(signed_in, user.email.upper())) == ["email"]

    @pytest.mark.parametrize("data", [{}, {"email": ""}, {"email": "no address"}, {"email": f"{NEW}\nCc: a@b.example"}])
    def test_without_a_valid_address(self, signed_in, data):
        assert invalid_fields(ask(signed_in, "email/change", data)) == ["email"]

    def test_of_a_user_who_was_switched_off_by_raw_sql(self, signed_in, user):
        """Raw SQL sends no signal, so the access token is still valid."""
        QuerySet(User).filter(pk=user.pk).update(is_active=False)
        assert change(signed_in).status_code in {401, 403}
