"""Changing the e-mail address: the new one confirms, the old one is notified, and no response shows which are taken."""

import pytest

from accounts.models import User
from tests.accounts.steps import ask, can_sign_in, confirm, events, outcome, seen, statements, who
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

PATH, NEW = "email/change", "new@example.org"
TO_NEW = {"email": NEW}


class TestAChange:
    @pytest.mark.parametrize("spelling", [NEW, "New@Example.ORG"])
    def test_happens_when_the_link_in_the_new_mailbox_is_used(
        self, signed_in, send, user, another, token_in, spelling, clock
    ):
        assert outcome(send(signed_in, PATH, {"email": spelling})) == "done"
        assert User.objects.get().email == user.email
        assert outcome(confirm(another(), token_in(NEW), send)) == "done"
        assert User.objects.get().email == NEW
        assert can_sign_in(another(), NEW)
        assert not can_sign_in(another(), user.email)
        (asked,), (done,) = events(SecurityEvent.Kind.EMAIL_CHANGE), events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert asked.user == done.user == user
        assert asked.session_id == RefreshToken.objects.earliest("created_at").id
        assert done.session_id is None, "It was confirmed in a browser without a session."
        assert who(signed_in) == 200, "Sessions continue."
        clock.forward(601)
        assert signed_in.get("/api/auth/me").json()["user"]["email"] == NEW

    def test_the_old_address_is_told_when_it_is_asked_for_and_when_it_is_done(
        self, signed_in, send, user, mailoutbox, token_in
    ):
        send(signed_in, PATH, TO_NEW)
        assert [message.to for message in mailoutbox] == [[NEW], [user.email]]
        assert NEW in mailoutbox[1].body
        assert "token=" not in mailoutbox[1].body
        confirm(signed_in, token_in(NEW), send)
        assert [message.to for message in mailoutbox] == [[NEW], [user.email], [user.email]]
        assert NEW in mailoutbox[2].body
        assert "/alarm?token=" in mailoutbox[2].body


class TestATakenAddress:
    @pytest.mark.parametrize("is_active", [True, False])
    def test_gets_the_same_response_and_no_link_that_changes_anything(
        self, signed_in, send, user, is_active, hashed, mailoutbox
    ):
        UserFactory(email="taken@example.org", is_active=is_active)
        hashed.clear()
        free = statements(signed_in, PATH, {"email": "free@example.org"}, send)
        mailoutbox.clear()
        assert statements(signed_in, PATH, {"email": "taken@example.org"}, send) == free
        assert hashed == []
        assert [message.to for message in mailoutbox] == [["taken@example.org"], [user.email]]
        assert "It already has an account" in mailoutbox[0].body
        assert "token=" not in mailoutbox[0].body

    def test_that_was_taken_after_the_mail_is_rejected_like_an_invalid_link(
        self, signed_in, user, token_in, mailoutbox
    ):
        ask(signed_in, PATH, TO_NEW)
        UserFactory(email=NEW)
        valid, nonsense = confirm(signed_in, token_in(NEW)), confirm(signed_in, "nonsense")
        assert seen(valid) == seen(nonsense)
        user.refresh_from_db()
        assert user.email != NEW
        assert not events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert len(mailoutbox) == 2

    def test_that_was_never_confirmed_can_be_claimed_by_its_owner(self, signed_in, user, token_in):
        ask(signed_in, "register", {"email": NEW, "password": PASSWORD})
        ask(signed_in, PATH, TO_NEW)
        assert outcome(confirm(signed_in, token_in(NEW))) == "done"
        assert User.objects.get() == user


@pytest.mark.parametrize("data", [{}, {"email": ""}, {"email": "no address"}, {"email": f"{NEW}\nCc: a@b.example"}])
def test_without_a_valid_address_no_mail_is_sent(signed_in, send, mailoutbox, data):
    assert outcome(send(signed_in, PATH, data)) == "400 invalid email"
    assert not mailoutbox


def test_the_address_that_the_user_has_is_invalid(signed_in, send, user, mailoutbox):
    assert outcome(send(signed_in, PATH, {"email": user.email.upper()})) == "400 invalid email"
    assert not mailoutbox
