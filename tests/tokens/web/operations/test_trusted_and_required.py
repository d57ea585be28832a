"""Trusted devices, where REQUIRED_FACTORS asks for one and there is no policy."""

import pytest
from django.core.cache import cache

from tests.browsers import new_browser, refresh
from tests.factories import UserFactory
from tests.factors.steps import code, set_up
from tests.tokens.web.steps import answer, begin
from tokens import sessions
from tokens.models import Device, RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

LONG = 700
FACTORS = ["tokens.web.factors.Password", "factors.totp.TotpFactor", "factors.recovery.RecoveryCodeFactor"]


class Person:
    """A user with an app, and two browsers, each with a session by the password only."""

    def __init__(self, clock):
        self.user, self.clock = UserFactory(), clock
        self.browser, self.other = new_browser(), new_browser()
        begin(self.browser, self.user)
        self.secret, _ = set_up(self.browser, clock.now)
        begin(self.other, self.user)
        RefreshToken.objects.update(methods=f"pwd:{int(clock.now.timestamp())}")
        clock.forward(LONG)

    def answer(self, browser, **more):
        response = answer(browser, code(self.secret, self.clock.now), **more)
        assert response.status_code == 200, response.content


@pytest.fixture
def person(clock, settings):
    """A user whose sessions began before the factor was required. Later ones would have it already."""
    settings.TOKENS = {"FACTORS": FACTORS}
    found = Person(clock)
    settings.TOKENS = {"FACTORS": FACTORS, "REQUIRED_FACTORS": "everybody"}
    cache.clear()
    return found


def test_a_sign_in_offers_it_and_is_spared(person, another, api):
    assert begin(api, person.user).json()["trust_device_for"] == 30 * 86400
    person.answer(api, trust_device=True)
    session = begin(api, person.user).json()["session"]
    assert (session["amr"], session["acr"]) == (["pwd"], "aal1")
    person.clock.forward(LONG)
    assert refresh(api).status_code == 200


def test_a_session_that_lacked_the_factor_goes_on_and_its_device_is_trusted(person):
    assert refresh(person.browser).json()["code"] == "session_idle"
    before = RefreshToken.objects.count()
    begin(person.browser, person.user)
    person.answer(person.browser, trust_device=True)
    assert RefreshToken.objects.count() == before
    assert Device.objects.filter(trusted_until__isnull=False).count() == 1
    assert begin(person.browser, person.user).json()["session"]["amr"] == ["pwd"]
    assert refresh(person.other).json()["code"] == "session_idle"


@pytest.mark.parametrize("way", ["ended by the project", "offered by the site no more"])
def test_a_session_that_was_spared_is_asked_when_the_trust_is(way, person, settings):
    begin(person.browser, person.user)
    person.answer(person.browser, trust_device=True)
    assert begin(person.browser, person.user).json()["session"]["amr"] == ["pwd"]
    if way == "ended by the project":
        sessions.end_device_trust(person.user)
    else:
        settings.TOKENS = {**settings.TOKENS, "TRUST_DEVICES_FOR": 0}
    person.clock.forward(LONG)
    assert refresh(person.browser).json()["code"] == "session_idle"
    assert begin(person.browser, person.user).json()["code"] == "factor_required"
