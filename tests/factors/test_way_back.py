"""The way back into an account to which a thief has added an app: the alarm, and then a new password by a mail.

The thief has a stolen session of an account that had no factor. The thief's app is asked for at each sign-in.
"""

import re

import pytest
from django.test import Client

from accounts.links import Purpose
from factors.models import RecoveryCode, Totp
from tests.accounts.steps import NEW_PASSWORD, ask, fill_in
from tests.browsers import new_browser, post
from tests.factories import PASSWORD, UserFactory, link_token
from tests.factors.steps import BY_TOTP, set_up
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

DAY = 86400

on_one = pytest.mark.at_length_on("sqlite")


@pytest.fixture
def thief(signed_in, clock):
    """A browser with a stolen session, in which an app was set up, and another one begun. One of them could be left."""
    set_up(signed_in, clock.now)
    post(signed_in, BY_TOTP)
    clock.forward(60)
    return signed_in


@pytest.fixture(params=[ask, fill_in], ids=["API", "page"])
def send(request):
    """Sends data to the API, or fills in the form of the page. One of them could leave the factors."""
    return request.param


@pytest.fixture
def link(mailoutbox):
    """Returns the token in the latest mail with this path. With tokens made by tests a wrong link would pass."""

    def find(path):
        tokens = [re.search(rf"{path}\?token=(\S+)", mail.body) for mail in mailoutbox]
        return [found[1] for found in tokens if found][-1]

    return find


def alarm(token):
    assert Client().post("/alarm", {"token": token}).status_code == 200


def reset(token, send=ask, password=NEW_PASSWORD):
    return send(Client(), "password/reset/confirm", {"token": token, "password": password}).status_code


def sign_in(user, password):
    browser = new_browser()
    return post(browser, "/api/auth/login", {"email": user.email, "password": password}).json().get("code", "signed in")


def removals():
    return {*SecurityEvent.objects.filter(kind="factor_removed").values_list("reason", flat=True)}


@pytest.mark.django_db(transaction=True)
def test_the_alarm_and_the_reset_that_it_mails_remove_all_factors(thief, user, send, link, mailoutbox):
    alarm(link("/alarm"))
    assert (sign_in(user, PASSWORD), Totp.objects.count()) == ("factor_required", 2)
    assert reset(link("/password/reset/confirm"), send) in {204, 302}
    assert (Totp.objects.count(), RecoveryCode.objects.count()) == (0, 0)
    assert sign_in(user, NEW_PASSWORD) == "signed in"
    assert removals() == {"totp: recovery", "recovery_code: recovery"}
    told = [mail.body for mail in mailoutbox if "A way to sign in to your account was removed" in mail.subject]
    assert len(told) == 2
    assert "authenticator app\n" in told[0]
    assert all(user.email in body for body in told)


@on_one
def test_a_reset_that_was_asked_for_after_the_alarm_does_too(thief, user, send, link, clock):
    """The mail of the alarm is good for an hour only."""
    alarm(link_token(Purpose.ALARM, user))
    clock.forward(6 * DAY)
    send(Client(), "password/reset", {"email": user.email})
    reset(link("/password/reset/confirm"), send)
    assert sign_in(user, NEW_PASSWORD) == "signed in"


class TestTheFactorsStay:
    @pytest.fixture(autouse=True)
    def still_asked(self, thief, user):
        """Checks at the end that the app is still asked for, and that nothing was removed."""
        yield
        assert removals() == set()
        assert (Totp.objects.exclude(confirmed_at=None).count(), RecoveryCode.objects.count()) == (1, 10)
        assert "factor_required" in {sign_in(user, PASSWORD), sign_in(user, NEW_PASSWORD)}

    def test_after_the_alarm_alone(self, user):
        alarm(link_token(Purpose.ALARM, user))
        assert not RefreshToken.objects.live().exists()

    def test_after_a_reset_alone(self, user, send, link):
        send(Client(), "password/reset", {"email": user.email})
        reset(link("/password/reset/confirm"), send)

    @on_one
    def test_if_the_new_password_is_refused(self, user, link):
        alarm(link_token(Purpose.ALARM, user))
        assert reset(link("/password/reset/confirm"), password="12345") == 400

    @on_one
    def test_if_the_reset_came_before_the_alarm(self, user, link):
        ask(Client(), "password/reset", {"email": user.email})
        reset(link("/password/reset/confirm"))
        alarm(link_token(Purpose.ALARM, user))

    @on_one
    def test_if_the_alarm_was_raised_more_than_a_week_ago(self, user, link, clock):
        alarm(link_token(Purpose.ALARM, user))
        clock.forward(7 * DAY + 1)
        ask(Client(), "password/reset", {"email": user.email})
        reset(link("/password/reset/confirm"))

    @on_one
    def test_if_somebody_else_raises_the_alarm(self, user, link):
        alarm(link_token(Purpose.ALARM, UserFactory()))
        ask(Client(), "password/reset", {"email": user.email})
        reset(link("/password/reset/confirm"))

    @on_one
    def test_if_the_address_was_changed_lately_except_by_staff(self, user, link, clock):
        """Otherwise a thief with a stolen session and a mailbox would remove the owner's app."""
        changed = SecurityEvent.objects.create(kind="email_changed", user=user, created_at=clock.now)
        alarm(link_token(Purpose.ALARM, user))
        reset(link("/password/reset/confirm"))
        assert changed.actor is None


@on_one
def test_the_next_reset_removes_nothing_any_more(thief, user, link, clock):
    alarm(link_token(Purpose.ALARM, user))
    reset(link("/password/reset/confirm"))
    browser = new_browser()
    post(browser, "/api/auth/login", {"email": user.email, "password": NEW_PASSWORD})
    set_up(browser, clock.now)
    clock.forward(60)
    ask(browser, "password/reset", {"email": user.email})
    reset(link("/password/reset/confirm"), password=PASSWORD)
    assert sign_in(user, PASSWORD) == "factor_required"


@on_one
def test_an_address_that_staff_has_set_counts(thief, user, link, clock):
    SecurityEvent.objects.create(kind="email_changed", user=user, created_at=clock.now)
    clock.forward(1)
    SecurityEvent.objects.create(kind="email_changed", user=user, created_at=clock.now, actor=user)
    alarm(link_token(Purpose.ALARM, user))
    reset(link("/password/reset/confirm"))
    assert sign_in(user, NEW_PASSWORD) == "signed in"


@on_one
def test_an_exception_while_factors_are_removed_undoes_the_reset(thief, user, link, monkeypatch):
    alarm(link_token(Purpose.ALARM, user))
    monkeypatch.setattr("factors.service.recovery_codes.delete", None)
    with pytest.raises(TypeError):
        reset(link("/password/reset/confirm"))
    monkeypatch.undo()
    assert (sign_in(user, PASSWORD), Totp.objects.count()) == ("factor_required", 2)
