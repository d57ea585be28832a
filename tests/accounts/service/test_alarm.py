"""The alarm: the link "this was not me" in a notice ends all sessions, even after a thief has changed the account."""

from datetime import timedelta

import pytest
from django.core import signing
from django.test import Client

from accounts.links import LIFETIMES, Purpose
from accounts.service import pending_changes
from tests.accounts.steps import (
    UNCONFIRMED,
    ask,
    confirm,
    events,
    form_errors,
    live,
    outcome,
    reset_password,
    text,
    who,
)
from tests.browsers import REFRESH, login, refresh
from tests.factories import User, UserFactory, link_token
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

NEW = "thief@example.org"
OTHER_PURPOSES = sorted(set(Purpose) - {Purpose.ALARM})


@pytest.fixture
def thief(signed_in) -> Client:
    """The browser in which a thief has signed in to the user's account. Without it there is no session to end."""
    return signed_in


@pytest.fixture
def token(user, clock) -> str:
    """The token of the link in a notice. A link for another purpose would end nothing in any case."""
    return link_token(Purpose.ALARM, user)


def press(token, browser=None, **options):
    """Press the button of the page that the link leads to."""
    return (browser or Client()).post("/alarm", {"token": token}, **options)


def is_raised(response) -> bool:
    return "You are signed out everywhere" in text(response)


class TestPressingTheButton:
    def test_ends_all_sessions_of_the_user_the_current_one_included(self, thief, user, token):
        browser, bystander = signed_in_as(user), signed_in_as(UserFactory())
        assert is_raised(press(token, browser))
        assert who(thief) == who(browser) == 401
        assert refresh(thief).status_code == 401
        assert who(bystander) == 200
        assert live() == 1
        ended = RefreshToken.objects.exclude(revoked_at=None)
        assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.ENDED_BY_USER}

    def test_leads_to_the_page_that_resets_the_password(self, thief, token):
        assert 'href="/password/reset"' in text(press(token))

    def test_is_recorded_and_each_ended_session_names_the_alarm(self, thief, user, token):
        press(token)
        (alarm,), (end,) = events(SecurityEvent.Kind.ALARM), events(SecurityEvent.Kind.REVOKED)
        assert (alarm.user, alarm.session_id, alarm.ip) == (user, None, "127.0.0.1")
        assert end.reason == "ended_by_user: alarm"

    def test_is_recorded_when_there_is_no_session(self, token):
        assert is_raised(press(token))
        assert len(events(SecurityEvent.Kind.ALARM)) == 1

    def test_works_again_when_the_thief_has_come_back(self, thief, user, token, another):
        press(token)
        login(another(), user)
        assert live() == 1
        press(token)
        assert live() == 0
        assert len(events(SecurityEvent.Kind.ALARM)) == 2

    def test_clears_the_cookies_of_the_browser_at_its_next_page(self, signed_in, token, clock):
        assert is_raised(press(token, signed_in))
        clock.forward(601)
        signed_in.get("/", headers={"Sec-Fetch-Mode": "navigate"})
        assert signed_in.cookies[REFRESH].value == ""


class TestThePageAfterwards:
    def test_names_the_changes_that_were_pending_and_are_cancelled_now(self, thief, user, token, token_in):
        ask(thief, "email/change", {"email": NEW})
        ask(thief, "password/reset", {"email": user.email})
        page = text(press(token))
        assert "a new e-mail address, t…@example.org" in page
        assert "a new password, by a link to your mailbox" in page
        assert NEW not in page
        assert outcome(confirm(Client(), token_in(NEW))) == "400 invalid_token"
        assert "They have been cancelled" not in text(press(token)), "There is nothing left to cancel."

    def test_names_nothing_that_was_not_pending_any_more_or_is_another_users(self, user, token, clock):
        """Nor the confirmation of an address that staff has set: the alarm does not undo that."""
        reset_password(Client(), link_token(Purpose.PASSWORD_RESET, user))
        link_token(Purpose.PASSWORD_RESET, UserFactory())
        pending_changes.add(Purpose.EMAIL_CHANGE, user, new_email=user.email)
        clock.forward(1)
        link_token(Purpose.PASSWORD_RESET, user)
        clock.forward(3601)
        assert "They have been cancelled" not in text(press(token))


class TestTheMailAfterwards:
    def test_resets_the_password_even_if_an_attacker_has_used_up_the_mails(self, thief, user, token, token_in):
        for _ in range(6):
            ask(thief, "password/reset", {"email": user.email})
        press(token)
        assert outcome(reset_password(Client(), token_in(user.email))) == "done"

    def test_is_not_sent_again_and_again(self, user, token, mailoutbox, throttled):
        throttled(reset_account="5/h")
        for _ in range(9):
            assert is_raised(press(token))
        assert len([message for message in mailoutbox if "Choose a new password" in message.subject]) == 5

    @pytest.mark.parametrize("fields", [{"is_active": False}, {"password": "!"}], ids=["inactive", "without one"])
    def test_is_not_sent_to_a_user_who_cannot_have_a_password(self, user, token, mailoutbox, fields):
        User.objects.filter(pk=user.pk).update(**fields)
        press(token)
        assert not mailoutbox


class TestTheLink:
    def test_of_an_earlier_release_works(self, thief, user):
        old = signing.TimestampSigner(salt="accounts.links.alarm", sep=".").sign_object([str(user.pk), "x" * 22, ""])
        assert is_raised(press(old))
        assert live() == 0

    def test_leads_to_a_page_that_says_whose_account_it_is_what_comes_next_and_how_to_leave(self, user, token):
        User.objects.filter(pk=user.pk).update(email="grace@example.org")
        page = text(Client().get("/alarm", {"token": token}, follow=True))
        assert "about the account g…@example.org." in page
        assert "grace@" not in page
        assert "Then we send you a link to choose a new password." in page
        assert 'href="/sign-in">It was me' in page

    def test_does_nothing_until_the_button_is_pressed(self, thief, token):
        assert token in text(Client().get("/alarm", {"token": token}, follow=True))
        assert (who(thief), live()) == (200, 1)

    CHANGES = {
        "the address": {"email": NEW},
        "the address, unconfirmed": {"email": NEW, **UNCONFIRMED},
        "the password": {"password": "argon2$of-the-thief"},
        "the last sign-in": {"last_login": "2030-01-02T00:00:00Z"},
    }

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_stays_valid_whatever_a_thief_changes(self, change, thief, user, token):
        User.objects.filter(pk=user.pk).update(**change)
        assert is_raised(press(token))
        assert live() == 0

    def test_in_the_old_mailbox_works_after_a_change_of_the_address_and_does_not_undo_it(self, thief, user, token_in):
        ask(thief, "email/change", {"email": NEW})
        confirm(thief, token_in(NEW))
        assert User.objects.get().email == NEW
        press(token_in(user.email))
        assert live() == 0
        assert User.objects.get().email == NEW

    def test_is_valid_for_a_week(self, thief, token, clock):
        assert LIFETIMES[Purpose.ALARM] == timedelta(days=7)
        clock.forward(7 * 86400 - 1)
        assert is_raised(press(token))
        clock.forward(2)
        assert "This link is not valid." in text(press(token))
        assert len(events(SecurityEvent.Kind.ALARM)) == 1

    def test_that_is_forged_or_for_another_purpose_ends_nothing(self, thief, user, token):
        forged = ["", token[:-1], "x" + token]
        for bad in [*forged, *(link_token(purpose, user, NEW) for purpose in OTHER_PURPOSES)]:
            assert form_errors(press(bad)), bad
        assert live() == 1
        assert not events(SecurityEvent.Kind.ALARM)

    def test_of_a_deleted_user_does_nothing(self, user, token):
        user.delete()
        assert form_errors(press(token))
        assert not events(SecurityEvent.Kind.ALARM)
