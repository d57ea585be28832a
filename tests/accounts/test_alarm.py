"""The alarm: the link "this was not me" in a notice signs everybody out, whatever a thief has changed, and no more."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.links import LIFETIMES, InvalidLink, Purpose, make, read
from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, ask, events, live, who
from tests.browsers import REFRESH, login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

NEW = "thief@example.org"


@pytest.fixture
def thief(another: Callable[[], Client], user: Any, clock: Any) -> Client:
    """Somebody else who is signed in to the account."""
    browser = another()
    login(browser, user)
    assert who(browser) == 200
    return browser


@pytest.fixture
def token(user: Any, clock: Any) -> str:
    """What a notice's link brings along."""
    return make(Purpose.ALARM, user)


def press(token: str, browser: Client | None = None, **options: Any) -> Any:
    """Press the button of the page that the link leads to."""
    return (browser or Client()).post("/alarm", {"token": token}, **options)


def test_everybody_is_signed_out_the_presser_too(api, thief, user, token, clock):
    login(api, user)
    stranger = Client()
    login(stranger, UserFactory())
    assert press(token, api).status_code == 302
    clock.forward(1)
    assert who(thief) == who(api) == 401
    assert refresh(thief).status_code == 401
    assert who(stranger) == 200
    assert live() == 1
    ended = RefreshToken.objects.exclude(revoked_at=None)
    assert set(ended.values_list("revoked_reason", flat=True)) == {RefreshToken.Reason.ENDED_BY_USER}


def test_it_leads_on_to_a_new_password(thief, token):
    response = press(token, follow=True)
    assert response.redirect_chain == [("/alarm/raised", 302)]
    assert 'href="/password/reset"' in response.content.decode()


def test_it_sets_none_itself(thief, user, token, another):
    press(token)
    login(another(), user)
    for purpose in set(Purpose) - {Purpose.ALARM}:
        with pytest.raises(InvalidLink):
            read(token, purpose)
    assert ask(another(), "password/reset/confirm", {"token": token, "password": NEW_PASSWORD}).status_code == 400
    assert ask(another(), "email/confirm", {"token": token}).status_code == 400
    assert User.objects.get().check_password(PASSWORD)


def test_looking_at_the_page_does_nothing(thief, token):
    response = Client().get("/alarm", {"token": token})
    assert response.status_code == 200
    assert token in response.content.decode()
    assert who(thief) == 200
    assert live() == 1


def test_it_is_written_down_and_each_end_says_why(thief, user, token):
    press(token)
    (alarm,) = events(SecurityEvent.Kind.ALARM)
    assert (alarm.user, alarm.session_id, alarm.ip) == (user, None, "127.0.0.1")
    (end,) = events(SecurityEvent.Kind.REVOKED)
    assert end.reason == "ended_by_user: alarm"


def test_it_is_written_down_when_nobody_was_signed_in(user, token):
    assert press(token).status_code == 302
    assert len(events(SecurityEvent.Kind.ALARM)) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"email": NEW}, id="the address"),
        pytest.param({"email": NEW, "email_confirmed_at": None}, id="the address, unconfirmed"),
        pytest.param({"password": "argon2$of-the-thief"}, id="the password"),
        pytest.param({"last_login": "2030-01-02T00:00:00Z"}, id="the last sign-in"),
    ],
)
def test_a_thief_cannot_disarm_it_by_changing(change, api, user, token):
    login(api, user)
    User.objects.filter(pk=user.pk).update(**change)
    assert press(token).status_code == 302
    assert live() == 0


def test_a_thief_who_comes_back_is_sent_away_again(thief, user, token, another):
    press(token)
    login(another(), user)
    assert live() == 1
    press(token)
    assert live() == 0
    assert len(events(SecurityEvent.Kind.ALARM)) == 2


def test_the_old_mailbox_can_sign_out_whoever_has_changed_the_address_and_cannot_take_it_back(
    thief, user, token_in, mailoutbox
):
    ask(thief, "email/change", {"email": NEW})
    ask(thief, "email/confirm", {"token": token_in(NEW)})
    assert User.objects.get().email == NEW
    press(token_in(user.email))
    assert live() == 0
    assert User.objects.get().email == NEW


@pytest.mark.django_db(transaction=True)
def test_the_mail_of_a_changed_password_has_it(thief, user, token_in):
    ask(thief, "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    press(token_in(user.email))
    assert live() == 0


def test_it_is_good_for_a_week(thief, token, clock):
    week = LIFETIMES[Purpose.ALARM].total_seconds()
    assert week == 7 * 86400
    clock.forward(week - 1)
    assert press(token).status_code == 302
    clock.forward(2)
    response = press(token)
    assert response.status_code == 200
    assert "This link is not valid any more" in response.content.decode()
    assert len(events(SecurityEvent.Kind.ALARM)) == 1


def test_a_link_for_something_else_raises_none(thief, user):
    for purpose in set(Purpose) - {Purpose.ALARM}:
        assert press(make(purpose, user, NEW)).status_code == 200
    assert live() == 1


@pytest.mark.parametrize("spoil", [lambda token: "", lambda token: token[:-1], lambda token: "x" + token])
def test_a_forged_link_raises_none(thief, token, spoil):
    assert press(spoil(token)).status_code == 200
    assert live() == 1
    assert not events(SecurityEvent.Kind.ALARM)


def test_nobodys_link_raises_none(user, token):
    user.delete()
    assert press(token).status_code == 200
    assert not events(SecurityEvent.Kind.ALARM)


def test_it_needs_the_forms_token(thief, token):
    assert press(token, Client(enforce_csrf_checks=True)).status_code == 403
    assert live() == 1


def test_the_browser_that_pressed_loses_its_cookies_at_the_next_page(api, user, token, clock):
    login(api, user)
    assert press(token, api).status_code == 302
    clock.forward(601)
    api.get("/", headers={"Sec-Fetch-Mode": "navigate"})
    assert api.cookies[REFRESH].value == ""
