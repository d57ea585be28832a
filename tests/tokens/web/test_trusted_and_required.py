"""Devices that are spared the second factor, where REQUIRED_FACTORS asks for one and there is no policy."""

import pytest
from django.core.cache import cache
from django.test import Client

from tests.browsers import FIREFOX, post, refresh
from tests.factories import PASSWORD, UserFactory
from tests.factors.steps import code, set_up
from tokens import sessions
from tokens.models import Device, RefreshToken

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

FACTOR, LONG = "/api/auth/factor", 700
FACTORS = ["tokens.web.factors.Password", "factors.totp.TotpFactor", "factors.recovery.RecoveryCodeFactor"]


class Person:
    """A user with an app, and two browsers, each with a session by the password only."""

    def __init__(self, clock):
        self.user, self.clock = UserFactory(), clock
        self.browser, self.other = self.new(), self.new()
        self.sign_in(self.browser)
        self.secret, _ = set_up(self.browser, clock.now)
        self.sign_in(self.other)
        RefreshToken.objects.update(methods=f"pwd:{int(clock.now.timestamp())}")
        clock.forward(LONG)

    def new(self):
        return Client(headers={"User-Agent": FIREFOX})

    def sign_in(self, browser):
        return post(browser, "/api/auth/login", {"email": self.user.email, "password": PASSWORD})

    def answer(self, browser, **more):
        given = {"method": "totp", "answer": code(self.secret, self.clock.now), **more}
        answer = post(browser, FACTOR, given)
        assert answer.status_code == 200, answer.content
        return answer


@pytest.fixture
def person(clock, settings):
    settings.TOKENS = {"FACTORS": FACTORS}
    found = Person(clock)
    settings.TOKENS = {"FACTORS": FACTORS, "REQUIRED_FACTORS": "everybody"}
    cache.clear()
    return found


def test_a_sign_in_offers_it_and_is_spared(person):
    browser = person.new()
    assert person.sign_in(browser).json()["trust_device_for"] == 30 * 86400
    person.answer(browser, trust_device=True)
    session = person.sign_in(browser).json()["session"]
    assert (session["amr"], session["acr"]) == (["pwd"], "aal1")
    person.clock.forward(LONG)
    assert refresh(browser).status_code == 200


def test_a_session_that_lacked_the_factor_goes_on_and_its_device_is_trusted(person):
    assert refresh(person.browser).json()["code"] == "session_idle"
    before = RefreshToken.objects.count()
    person.sign_in(person.browser)
    person.answer(person.browser, trust_device=True)
    assert RefreshToken.objects.count() == before
    assert Device.objects.filter(trusted_until__isnull=False).count() == 1
    assert person.sign_in(person.browser).json()["session"]["amr"] == ["pwd"]
    assert refresh(person.other).json()["code"] == "session_idle"


def test_a_session_that_was_spared_is_asked_when_it_ends(person):
    person.sign_in(person.browser)
    person.answer(person.browser, trust_device=True)
    assert person.sign_in(person.browser).json()["session"]["amr"] == ["pwd"]
    sessions.end_device_trust(person.user)
    person.clock.forward(LONG)
    assert refresh(person.browser).json()["code"] == "session_idle"
    assert person.sign_in(person.browser).json()["code"] == "factor_required"


def test_a_session_that_was_spared_is_asked_when_the_site_does_not_offer_it_any_more(person, settings):
    person.sign_in(person.browser)
    person.answer(person.browser, trust_device=True)
    assert person.sign_in(person.browser).json()["session"]["amr"] == ["pwd"]
    settings.TOKENS = {**settings.TOKENS, "TRUST_DEVICES_FOR": 0}
    person.clock.forward(LONG)
    assert refresh(person.browser).json()["code"] == "session_idle"
