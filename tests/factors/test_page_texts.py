"""What pages about factors say, and what their fields are, so that people know what they are asked for."""

import re
from typing import Any

import pytest
from django.test import Client

from tests.browsers import new_browser
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create
from tests.factors.steps import later, set_up
from tests.tokens.web_steps import signed_in_as

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

AGAIN, SECURITY = "/sign-in/again", "/account/security"
ONE_MORE, SOME_TIME_AGO = "This page needs one more proof that it is you.", "You signed in some time ago."
NEW_CODES = f"{SECURITY}/recovery-codes"
GERMAN = {"Accept-Language": "de"}


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


class TestConfirmThatItIsYou:
    def test_a_page_that_requires_a_level_says_so(self, signed_in, clock):
        set_up(signed_in, clock.now)
        page = text(signed_in.get(f"{AGAIN}?next=/devices&acr=aal2"))
        assert ONE_MORE in page
        assert SOME_TIME_AGO not in page
        assert "Diese Seite braucht noch einen Nachweis" in text(signed_in.get(f"{AGAIN}?acr=aal2", headers=GERMAN))

    def test_the_level_is_kept_after_a_wrong_answer(self, signed_in, clock):
        set_up(signed_in, clock.now)
        page = text(signed_in.get(f"{AGAIN}?next=/devices&acr=aal2"))
        (action,) = re.findall(r'<form method="post" action="([^"]*)" class="card"', page)
        wrong = text(signed_in.post(action, {"next": "/devices", "method": "totp", "current_password": "000000"}))
        assert ONE_MORE in wrong
        assert 'value="password"' not in wrong

    def test_so_does_one_that_requires_a_very_recent_authentication(self, signed_in):
        assert ONE_MORE in text(signed_in.get(AGAIN))

    def test_otherwise_it_says_that_the_sign_in_was_some_time_ago(self, signed_in, clock):
        clock.forward(3600)
        signed_in.get("/devices")
        assert SOME_TIME_AGO in text(signed_in.get(AGAIN))


class TestTheResetByStaff:
    def page(self, client: Client, clock: Any) -> str:
        """Return the page, for somebody who signed in an hour ago."""
        later(client, clock)
        return text(client.get(f"/admin/factors/factorreset/user/{UserFactory().pk}/reset/"))

    def test_with_a_passkey_only_the_button_says_what_it_does(self, helper, clock):
        client = signed_in_as(helper)
        create(client, Authenticator())
        page = self.page(client, clock)
        (button,) = re.findall(r'<button type="button" class="([^"]*)" data-able hidden>Reset factors</button>', page)
        assert "button" in button.split()
        assert "Use a passkey" not in page

    def test_the_field_for_a_code_is_no_password(self, helper, clock):
        client = signed_in_as(helper)
        set_up(client, clock.now)
        page = self.page(client, clock)
        (field,) = re.findall(r'<input[^>]*name="current_password"[^>]*>', page)
        assert 'type="text"' in field
        assert 'autocomplete="one-time-code"' in field


def test_an_enrolment_at_the_second_step_does_not_name_one_way_only(settings, clock):
    settings.TOKENS = {**settings.TOKENS, "REQUIRED_FACTORS": "staff"}
    client, user = new_browser(), AdminFactory()
    client.post("/sign-in", {"username": user.email, "password": PASSWORD})
    for way in ("enrol_totp", "enrol_passkey"):
        page = text(client.get(f"/sign-in/factor?method={way}"))
        assert "your account needs one more way to prove who you are" in page
        assert "Do not ask for a code or a passkey on this device for 30 days" in page


class TestThePageSecurity:
    def test_every_page_links_to_it(self, signed_in):
        header = text(signed_in.get("/devices")).split("</header>")[0]
        assert f'<a href="{SECURITY}">Security</a>' in header

    def test_an_address_is_apart_from_the_event(self, signed_in):
        assert '<span class="quiet">· 127.0.0.1</span>' in text(signed_in.get(SECURITY))

    def test_all_dates_have_one_format(self, signed_in, clock):
        set_up(signed_in, clock.now)
        assert re.search(r"Set up on <time datetime=", text(signed_in.get(SECURITY)))


class TestRecoveryCodes:
    def test_a_first_set_replaces_nothing(self, signed_in):
        create(signed_in, Authenticator())
        page = text(signed_in.get(NEW_CODES))
        assert page.count("Get recovery codes") == 3  # The title, the heading, and the button.
        assert 'name="end_others"' not in page
        assert "will not work any more" not in page
        assert "Get recovery codes" in text(signed_in.get(SECURITY))
        assert "Your recovery codes" in text(signed_in.post(NEW_CODES))

    def test_a_further_set_does(self, signed_in, clock):
        set_up(signed_in, clock.now)
        page = text(signed_in.get(NEW_CODES))
        assert "Make new codes" in page
        assert 'name="end_others"' in page


def test_long_german_words_can_be_broken(signed_in, clock):
    set_up(signed_in, clock.now)
    assert "<h1>Neue Wiederherstellungs\u00adcodes</h1>" in text(signed_in.get(NEW_CODES, headers=GERMAN))
