"""Changing the e-mail address: the new one confirms, the old one is notified, and no response shows which are taken."""

import pytest

from tests.accounts.steps import DAY, ask, can_sign_in, confirm, events, leads_to, outcome, seen, statements, who
from tests.browsers import REFRESH, login, new_browser, refresh
from tests.factories import PASSWORD, AdminFactory, User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.conf import token_settings
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
    @pytest.mark.parametrize("is_active", [True, False], ids=["by an active user", "by an inactive user"])
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


@pytest.mark.parametrize(
    "data",
    [{}, {"email": ""}, {"email": "no address"}, {"email": f"{NEW}\nCc: a@b.example"}],
    ids=["no field", "an empty one", "a text that is no address", "an address with a mail header"],
)
def test_without_a_valid_address_no_mail_is_sent(signed_in, send, mailoutbox, data):
    assert outcome(send(signed_in, PATH, data)) == "400 invalid email"
    assert not mailoutbox


def test_the_address_that_the_user_has_is_invalid(signed_in, send, user, mailoutbox):
    assert outcome(send(signed_in, PATH, {"email": user.email.upper()})) == "400 invalid email"
    assert not mailoutbox


def sign_in_again(browser, user):
    """Sign in again in the same browser. Its first refresh ends the earlier session."""
    login(browser, user)
    assert refresh(browser).status_code == 200


def sign_out_the_next_one(browser, user):
    sign_in_again(browser, user)
    ask(browser, "logout")


def end_others_after_the_next_one(browser, user):
    sign_in_again(browser, user)
    end_others(browser, user)


def end_others(browser, user):
    assert signed_in_as(user).delete("/api/auth/sessions").status_code == 204


def end_this_one(browser, user):
    session = RefreshToken.objects.get()
    assert signed_in_as(user).delete(f"/api/auth/sessions/{session.pk}").status_code == 204


def use_an_old_refresh_token(browser, user):
    old = browser.cookies[REFRESH].value
    RefreshToken.objects.update(generation=5)
    assert refresh(new_browser(), old).status_code == 401


def open_too_many(browser, user):
    for _ in range(token_settings().max_sessions):
        signed_in_as(user)


ENDED = {
    "it is signed out": lambda browser, user: ask(browser, "logout"),
    "it is ended in another session": end_this_one,
    "all others are ended in another session": end_others,
    "its refresh token is used twice": use_an_old_refresh_token,
    "the session that has replaced it is signed out": sign_out_the_next_one,
    "all others are ended after another has replaced it": end_others_after_the_next_one,
}
NOT_ENDED = {
    "the person signs in again on the device": sign_in_again,
    "it makes way for newer ones": open_too_many,
    "it is refreshed": lambda browser, user: refresh(browser),
}


class TestTheSessionThatAskedForIt:
    @pytest.mark.parametrize("end", ENDED.values(), ids=ENDED)
    def test_ends_the_link_if(self, signed_in, user, another, token_in, end, clock):
        ask(signed_in, PATH, TO_NEW)
        clock.forward(1)
        end(signed_in, user)
        assert outcome(confirm(another(), token_in(NEW))) == "400 invalid_token"
        assert User.objects.get().email == user.email

    @pytest.mark.parametrize("go_on", NOT_ENDED.values(), ids=NOT_ENDED)
    def test_does_not_end_the_link_if(self, signed_in, user, another, token_in, go_on, clock):
        ask(signed_in, PATH, TO_NEW)
        clock.forward(1)
        go_on(signed_in, user)
        assert outcome(confirm(another(), token_in(NEW))) == "done"
        assert User.objects.get().email == NEW


class TestAChangeByStaff:
    @pytest.fixture
    def change(self, user, django_capture_on_commit_callbacks):
        """Saves another address in the admin, and returns the superuser. A save by the test would skip the page."""

        def save(email):
            staff = AdminFactory()
            browser = signed_in_as(staff)
            page = f"/admin/accounts/user/{user.pk}/change/"
            with django_capture_on_commit_callbacks(execute=True):
                assert leads_to(browser.post(page, {"email": email, "is_active": "on"})) == "/admin/accounts/user/"
            return staff

        return save

    def test_takes_effect_and_is_recorded_with_the_name_of_who_did_it(self, change, user):
        staff = change(NEW)
        user.refresh_from_db()
        assert (user.email, user.email_confirmed_at) == (NEW, None)
        (event,) = events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert (event.user, event.actor, event.reason, event.session_id) == (user, staff, "by staff", None)

    def test_is_told_to_the_old_address_with_the_link_of_the_alarm(self, change, user, mailoutbox, token_in, another):
        old = user.email
        login(another(), user)
        mailoutbox.clear()
        change(NEW)
        assert [message.to for message in mailoutbox if "alarm?token=" in message.body][-1] == [old]
        assert "An administrator" in mailoutbox[-1].body
        another().post("/alarm", {"token": token_in(old)})
        assert not RefreshToken.objects.live().filter(user=user).exists()

    def test_is_to_be_confirmed_by_the_new_address(self, change, user, token_in, api, mailoutbox):
        change(NEW)
        assert outcome(confirm(api, token_in(NEW))) == "done"
        user.refresh_from_db()
        assert user.email == NEW
        assert user.email_confirmed_at
        assert len(events(SecurityEvent.Kind.EMAIL_CONFIRMED)) == 1

    def test_can_be_confirmed_later_by_asking_for_another_mail(self, change, user, token_in, api, clock):
        change(NEW)
        clock.forward(2 * DAY)
        user.refresh_from_db()
        login(api, user)
        assert outcome(ask(api, PATH, TO_NEW)) == "done"
        assert outcome(confirm(api, token_in(NEW))) == "done"
        user.refresh_from_db()
        assert user.email_confirmed_at

    def test_of_something_else_sends_nothing(self, change, user, mailoutbox):
        before = user.email_confirmed_at
        change(user.email)
        user.refresh_from_db()
        assert user.email_confirmed_at == before
        assert not events(SecurityEvent.Kind.EMAIL_CHANGED)
        assert user.email not in [message.to[0] for message in mailoutbox]
