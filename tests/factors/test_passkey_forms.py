"""The pages that create, rename and remove passkeys, and the one that offers to create one after a sign-in."""

import json
import re
from types import ModuleType

import pytest
from django.test import Client
from django.urls import include, path

from factors.models import Passkey, UserHandle
from factors.passkeys import PasskeyFactor
from tests.browsers import ACCESS, REFRESH, login
from tests.factories import PASSWORD, UserFactory
from tests.factors.authenticator import Authenticator
from tests.factors.passkey_steps import create
from tests.factors.steps import later, set_up
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]

PAGE, ADD = "/account/security", "/account/security/passkeys/add"
OFFER = "/account/security/passkeys/offer"


@pytest.fixture
def device():
    """An authenticator without a passkey. With one, a page that creates none would go unnoticed."""
    return Authenticator()


def made(client, device, purpose="create", **more):
    """Return what the page's script puts into the form."""
    options = client.post("/account/passkeys/options", {"for": purpose, **more}).json()["options"]
    return json.dumps(device.create(options) if purpose == "create" else device.sign(options))


def page_of(passkey, action):
    return f"{PAGE}/passkeys/{passkey['id']}/{action}"


class TestAdding:
    def test_needs_what_the_script_has_got(self, signed_in, device):
        assert 'data-passkey="create"' in signed_in.get(ADD).text
        assert signed_in.post(ADD, {"name": "Mine"}).status_code == 200
        done = signed_in.post(ADD, {"name": "Mine", "credential": made(signed_in, device)})
        assert done["Location"] == PAGE
        assert Passkey.objects.get().name == "Mine"
        shown = signed_in.get(PAGE).text
        assert "The passkey is created." in shown
        assert "Synced" in shown

    def test_proposes_a_name(self, signed_in, device):
        signed_in.post(ADD, {"credential": made(signed_in, device)})
        assert Passkey.objects.get().name == "iCloud Keychain"

    def test_ends_the_other_sessions_if_the_box_is_checked(self, signed_in, user, device, another):
        login(another(), user)
        signed_in.post(ADD, {"credential": made(signed_in, device), "end_others": "on"})
        assert RefreshToken.objects.live().count() == 1

    @pytest.mark.parametrize("credential", ["", "{}", "x", "[1]"], ids=["none", "an empty object", "no JSON", "a list"])
    def test_says_that_it_was_not_created(self, signed_in, credential):
        shown = signed_in.post(ADD, {"credential": credential})
        assert shown.status_code == 200
        assert re.search("errorlist", shown.text)
        assert not Passkey.objects.exists()

    def test_asks_for_a_factor_if_the_request_has_no_refresh_token(self, signed_in, device, client):
        client.cookies[ACCESS] = signed_in.cookies[ACCESS].value
        assert 'name="current_password"' in client.get(ADD).text
        credential = made(client, device)
        client.post(ADD, {"credential": credential, "current_password": "wrong"})
        assert not Passkey.objects.exists()
        client.post(ADD, {"credential": credential, "current_password": PASSWORD})
        assert Passkey.objects.exists()


class TestRenaming:
    def test_needs_no_recent_sign_in(self, signed_in, device, clock):
        passkey = create(signed_in, device)
        later(signed_in, clock)
        assert signed_in.post(page_of(passkey, "rename"), {"name": "Kitchen"})["Location"] == PAGE
        assert Passkey.objects.get().name == "Kitchen"
        assert "The passkey is called “Kitchen” now." in signed_in.get(PAGE).text

    def test_shows_a_page_for_a_name_that_is_not_valid(self, signed_in, device):
        passkey = create(signed_in, device)
        for name in ("", "a\u0085b", "x" * 101):
            shown = signed_in.post(page_of(passkey, "rename"), {"name": name})
            assert "Rename the passkey" in shown.text
            assert "errorlist" in shown.text
        assert Passkey.objects.get().name == passkey["name"]

    def test_with_an_access_token_alone_it_asks_for_a_factor(self, signed_in, device):
        passkey = create(signed_in, device)
        del signed_in.cookies[REFRESH]
        shown = signed_in.post(page_of(passkey, "rename"), {"name": "Kitchen"}).text
        assert 'value="Kitchen"' in shown
        assert 'data-passkey="answer"' in shown
        answer = made(signed_in, device, "prove")
        given = {"name": "Kitchen", "method": "passkey", "current_password": answer}
        assert signed_in.post(page_of(passkey, "rename"), given)["Location"] == PAGE
        assert Passkey.objects.get().name == "Kitchen"


class TestRemoving:
    def test_asks_for_the_passkey_unless_it_was_just_used(self, signed_in, device, clock):
        passkey = create(signed_in, device)
        later(signed_in, clock)
        shown = signed_in.get(page_of(passkey, "remove")).text
        assert "You will not sign in by “iCloud Keychain” any more." in shown
        assert 'data-passkey="answer"' in shown
        assert 'type="password"' not in shown
        signed_in.post(page_of(passkey, "remove"), {"current_password": PASSWORD, "method": "password"})
        assert Passkey.objects.exists()
        given = {"method": "passkey", "current_password": made(signed_in, device, "prove")}
        assert signed_in.post(page_of(passkey, "remove"), given)["Location"] == PAGE
        assert not Passkey.objects.exists()
        assert SecurityEvent.objects.filter(kind="factor_removed").exists()

    def test_says_that_the_recovery_codes_end_with_the_last_one(self, signed_in, device):
        passkey = create(signed_in, device)
        assert "recovery codes" not in signed_in.get(page_of(passkey, "remove")).text
        signed_in.post(f"{PAGE}/recovery-codes")
        assert "Your recovery codes end too." in signed_in.get(page_of(passkey, "remove")).text

    def test_the_last_way_in_stays(self, client, device):
        client.force_login(UserFactory(password=None))
        client.get(PAGE)
        passkey = create(client, device)
        client.post(page_of(passkey, "remove"))
        assert "There would be no way left into your account" in client.get(PAGE).text
        assert Passkey.objects.exists()


@pytest.mark.parametrize("action", ["rename", "remove"])
def test_another_user_s_passkey_is_not_there(signed_in, device, action):
    other = signed_in_as(UserFactory())
    passkey = create(other, device)
    for answer in (signed_in.get(page_of(passkey, action)), signed_in.post(page_of(passkey, action), {"name": "x"})):
        assert answer.status_code == 404
    assert Passkey.objects.get().name == passkey["name"]


class TestTheOffer:
    @pytest.fixture
    def browser(self) -> Client:
        """A browser without a session. With one, an offer that does not wait for a sign-in would go unnoticed."""
        return Client()

    def sign_in(self, browser, user, **more):
        given = {"username": user.email, "password": PASSWORD, "passkeys": "on", **more}
        return browser.post("/sign-in", given)["Location"]

    def test_is_made_after_a_sign_in_by_a_page(self, browser, user):
        assert self.sign_in(browser, user, next="/devices?a=1") == f"{OFFER}?next=%2Fdevices%3Fa%3D1"
        shown = browser.get(f"{OFFER}?next=/devices?a=1").text
        assert 'data-next="/devices?a=1"' in shown
        assert browser.post(OFFER, {"next": "/devices?a=1", "answer": "later"})["Location"] == "/devices?a=1"
        assert self.sign_in(Client(), user).startswith(OFFER)

    def test_is_not_made_unless_the_browser_has_said_that_it_can(self, browser, user):
        assert self.sign_in(browser, user, passkeys="") == "/"

    def test_is_not_made_again_if_the_user_does_not_want_it(self, browser, user):
        self.sign_in(browser, user)
        browser.post(OFFER, {"answer": "never"})
        assert UserHandle.objects.get(user=user).is_offer_dismissed
        assert self.sign_in(Client(), user) == "/"
        assert browser.get(OFFER)["Location"] == "/"

    def test_creates_one_also_if_the_browser_did_not_ask(self, browser, user, device):
        self.sign_in(browser, user)
        options = browser.post("/account/passkeys/options", {"for": "create", "quiet": "on"}).json()["options"]
        credential = json.dumps(device.create(options, present=False))
        assert browser.post(OFFER, {"credential": credential, "next": "/devices"})["Location"] == "/devices"
        assert Passkey.objects.filter(user=user).exists()
        assert browser.get(OFFER)["Location"] == "/"

    def test_shows_that_it_was_not_created(self, browser, user):
        self.sign_in(browser, user)
        assert "The passkey was not created." in browser.post(OFFER, {"credential": "{}"}).text

    @pytest.mark.parametrize("state", ["a sign-in of an hour ago", "an access token alone", "an app to be asked for"])
    def test_is_left_out_where_it_could_not_be_taken(self, browser, user, clock, state):
        self.sign_in(browser, user)
        if state == "an app to be asked for":
            set_up(browser, clock.now)
            RefreshToken.objects.update(methods={})
            later(browser, clock, 1200)
        elif state == "an access token alone":
            del browser.cookies[REFRESH]
        else:
            later(browser, clock)
        assert browser.get(f"{OFFER}?next=/devices")["Location"] == "/devices"

    def test_leads_to_no_page_of_another_site(self, browser, user):
        self.sign_in(browser, user)
        answer = browser.post(OFFER, {"next": "https://elsewhere.example/", "answer": "later"})
        assert answer["Location"] == "/"

    def test_takes_no_name_of_a_view_for_a_page(self, browser, user):
        self.sign_in(browser, user)
        assert browser.post(OFFER, {"next": "no-view", "answer": "later"})["Location"] == "no-view"


def test_the_page_security_lists_devices_and_events(signed_in, user):
    SecurityEvent.objects.create(kind="sign_in_failed", user=user, created_at="2026-01-01T00:00:00Z")
    shown = signed_in.get(PAGE).text
    assert "(this device)" in shown
    assert "signed in" in shown
    assert "sign-in failed" not in shown
    assert 'href="/devices"' in shown


def test_it_is_in_german(signed_in, device):
    create(signed_in, device)
    shown = signed_in.get(PAGE, headers={"Accept-Language": "de"}).text
    for text in ("Synchronisiert", "Einen weiteren Passkey hinzufügen", "Was zuletzt geschehen ist", "(dieses Gerät)"):
        assert text in shown


def test_a_site_without_the_factor_has_no_pages_of_passkeys(signed_in, settings):
    settings.TOKENS = {**settings.TOKENS, "FACTORS": ["tokens.web.factors.Password", "factors.totp.TotpFactor"]}
    assert "asskey" not in signed_in.get(PAGE).text
    for url in (ADD, OFFER):
        assert signed_in.get(url).status_code == signed_in.post(url).status_code == 404


def test_a_project_that_has_the_api_only_shows_nothing_of_passkeys(client, settings):
    urls = ModuleType("urls")
    urls.urlpatterns = [path("api/", include("factors.api.urls")), path("", include("accounts.urls"))]
    settings.ROOT_URLCONF = urls
    assert 'data-passkey="sign-in"' not in client.get("/sign-in").text
    assert not PasskeyFactor().is_on_pages
