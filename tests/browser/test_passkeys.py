"""Passkeys in a real Chromium, with authenticators in software: part of the device, and on USB."""

import re
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from tests.browser.authenticators import BY_PRESS, Authenticator
from tests.browser.sites import Person, Site
from tests.browser.steps import assert_user, fill_in, show_other_site, sign_in, sign_out

SECURITY, ADD = "/account/security", "/account/security/passkeys/add"
OPTIONS, BY_PASSKEY = "/account/passkeys/options", "/sign-in/passkey"
HOUR = 3600
POST = """async fields => {
    const csrfmiddlewaretoken = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const url = fields.answer ? "/sign-in/passkey" : "/account/passkeys/options";
    const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken });
    return (await fetch(url, { method: "POST", body, headers: { Accept: "application/json" } })).json();
}"""
GET = """async options => JSON.stringify(await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)
}))"""


@pytest.fixture
def without_suggestions(page: Page) -> None:
    """The browser suggests no passkeys. It would otherwise sign in before a test has pressed the button."""
    page.add_init_script(BY_PRESS)


@pytest.fixture
def authenticator(signed_in: Page) -> Authenticator:
    """The user's device. It is there after the sign-in, so that no passkey was offered."""
    return Authenticator(signed_in)


def create(page: Page, name: str = "") -> None:
    page.goto(ADD)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create a passkey").click()
    expect(page.get_by_role("status")).to_have_text("The passkey is created.")


@pytest.fixture
def left(signed_in: Page, authenticator: Authenticator) -> Page:
    """A page on which the user has created a passkey on the device, and has signed out."""
    create(signed_in)
    sign_out(signed_in)
    return signed_in


def press(page: Page) -> None:
    page.get_by_role("button", name="Use a passkey").click()


def by_button(page: Page, path: str = "/sign-in") -> None:
    page.goto(path)
    press(page)


def arrived(page: Page, heading: str = "Your devices") -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def methods(site: Site, person: Person) -> Any:
    """Return what the newest session of the user knows about how they have signed in."""
    return site.do(
        "from tokens.models import RefreshToken\n"
        "result = RefreshToken.objects.filter(user__email=email).order_by('-id')[0].amr",
        email=person.email,
    )


@pytest.mark.parametrize(
    ("kind", "badge"),
    [
        ({"internal": True, "synced": (True, True)}, "Synced"),
        ({"internal": False}, "Only on its device"),
        pytest.param({"internal": True, "synced": (True, False)}, "Not synced yet", marks=pytest.mark.exhaustive),
    ],
    ids=["of the device, and synced", "on USB", "of the device, and not synced yet"],
)
def test_a_user_creates_one_signs_in_by_a_button_renames_and_removes_it(
    signed_in, person, site, without_suggestions, is_accessible, kind, badge
):
    page, is_first = signed_in, badge == "Synced"
    authenticator = Authenticator(page, **kind)
    create(page, "My first")
    expect(page.locator(".badge")).to_have_text(badge)
    [made] = authenticator.credentials()
    assert (made["rpId"], made["isResidentCredential"]) == ("app.test", True)
    if is_first:
        is_accessible()
        page.get_by_role("link", name="Add another passkey").click()
        page.get_by_role("button", name="Create a passkey").click()
        expect(page.get_by_role("alert")).to_have_text("This device has a passkey for this account already.")
        is_accessible()
    sign_out(page)
    page.goto("/sign-in?next=/account/security")
    if is_first:
        is_accessible()
    press(page)
    arrived(page, "Security")
    assert methods(site, person) == ["pop", "user", "mfa"]
    if is_first:
        page.goto(page.locator("details form").get_attribute("action") or "")
        is_accessible()
        page.goto(SECURITY)
    page.locator("summary").click()
    page.get_by_label("Name of the passkey").fill("On my desk")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The passkey is called “On my desk” now.")
    expect(page.get_by_role("heading", name="On my desk")).to_be_visible()
    page.get_by_role("link", name="Remove On my desk").click()
    if is_first:
        is_accessible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_have_text("The passkey is removed.")
    expect(page.get_by_role("link", name="Create a passkey")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert authenticator.credentials() == [], "The browser was told that it is not accepted any more."
    assert site.events(person)[-1] == "factor_removed"


def test_the_browser_suggests_it_and_an_hour_later_still_does(left, person, site, authenticator):
    left.goto("/sign-in")
    arrived(left)
    sign_out(left)
    authenticator.touch(at_once=False)
    left.clock.install()
    with left.expect_response(f"**{OPTIONS}"):
        left.goto("/sign-in")
    expect(left.get_by_label("E-mail address")).to_have_attribute("autocomplete", "username webauthn")
    site.forward(HOUR)
    authenticator.touch(at_once=True)
    left.clock.fast_forward(HOUR * 1000)
    arrived(left)
    assert methods(site, person) == ["pop", "user", "mfa"]


def test_a_page_that_was_open_for_an_hour_signs_in_by_its_button(left, person, site, without_suggestions):
    left.goto("/sign-in")
    site.forward(HOUR)
    press(left)
    arrived(left)


def test_it_is_a_second_factor_and_answers_again_later(left, person, site, without_suggestions, is_accessible):
    left.goto("/sign-in")
    fill_in(left, person)
    left.wait_for_url("**/sign-in/factor*")
    is_accessible()
    press(left)
    arrived(left)
    assert {*methods(site, person)} == {"pwd", "pop", "user", "mfa"}
    site.forward(901)
    left.goto("/sign-in/again?next=/email/change")
    arrived(left, "Confirm that it is you")
    is_accessible()
    press(left)
    arrived(left, "Change your e-mail address")
    assert site.events(person)[-1] == "reauthenticated"


def test_an_old_security_key_is_a_second_factor_and_nothing_else(signed_in, person, site, without_suggestions):
    page = signed_in
    Authenticator(page, internal=False, is_old=True)
    create(page)
    sign_out(page)
    by_button(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile("^It was cancelled"))
    fill_in(page, person)
    press(page)
    arrived(page)
    assert {*methods(site, person)} == {"pwd", "pop", "user", "mfa"}


@pytest.mark.exhaustive
def test_a_user_who_is_not_recognised_is_not_let_in(left, authenticator, without_suggestions):
    authenticator.verify(False)
    by_button(left)
    expect(left.get_by_role("alert")).to_have_text("It was cancelled, or took too long. Try again.")
    assert_user(left, None)


def test_a_change_that_needs_a_passkey_asks_for_it_in_its_own_form(
    signed_in, person, site, authenticator, without_suggestions, is_accessible
):
    page = signed_in
    create(page)
    site.forward(901)
    page.goto("/account/security/app")
    is_accessible()
    press(page)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()


def test_a_copy_is_refused_and_reported(signed_in, person, site, authenticator, without_suggestions):
    page = signed_in
    create(page)
    [copied] = authenticator.credentials()
    sign_out(page)
    by_button(page)
    arrived(page)
    sign_out(page)
    authenticator.forget()
    authenticator.put(copied)
    by_button(page)
    expect(page.get_by_role("alert")).to_have_text("That did not work. Try again, or sign in from the beginning.")
    assert "passkey_copied" in site.events(person)
    assert_user(page, None)


def test_an_answer_is_good_once(left, person, site, without_suggestions):
    left.goto("/sign-in")
    with left.expect_request(f"**{BY_PASSKEY}") as sent:
        press(left)
    arrived(left)
    sign_out(left)
    left.goto("/sign-in")
    [answer] = parse_qs(sent.value.post_data)["answer"]
    assert left.evaluate(POST, {"answer": answer})["code"] == "factor_refused"
    assert_user(left, None)


def test_an_answer_of_a_page_of_another_host_is_refused(left, person, site, without_suggestions):
    """The browser lets a host below this one use its passkeys. The answer says which host it was."""
    left.goto("/sign-in")
    options = left.evaluate(POST, {"for": "sign-in"})["options"]
    port = site.origin.rpartition(":")[2]
    show_other_site(left, origin=f"https://evil.test:{port}/")
    with pytest.raises(Exception, match="SecurityError"):
        left.evaluate(GET, options)
    show_other_site(left, origin=f"https://sibling.app.test:{port}/")
    answer = left.evaluate(GET, options)
    left.goto("/sign-in")
    assert left.evaluate(POST, {"answer": answer})["code"] == "factor_refused"
    left.goto("/sign-in")
    press(left)
    arrived(left)


def test_the_browser_forgets_one_that_nobody_has_any_more(left, person, site, authenticator, without_suggestions):
    site.do(
        "from factors.models import Passkey\nPasskey.objects.filter(user__email=email).delete()", email=person.email
    )
    by_button(left)
    expect(left.get_by_role("alert")).to_have_text(re.compile("not known here any more"))
    assert authenticator.credentials() == []


class TestTheOffer:
    OFFER = "Sign in without a password next time"

    @pytest.fixture
    def page(self, page: Page) -> Page:
        """A page of a device that can keep passkeys. To another device none is offered."""
        Authenticator(page)
        return page

    def test_leads_on_to_the_next_page_and_is_not_made_again_if_the_user_says_so(
        self, page, person, site, is_accessible
    ):
        page.goto("/email/change")
        fill_in(page, person)
        arrived(page, self.OFFER)
        is_accessible()
        page.get_by_role("button", name="Not now").click()
        arrived(page, "Change your e-mail address")
        sign_out(page)
        page.goto("/sign-in")
        fill_in(page, person)
        arrived(page, self.OFFER)
        page.get_by_role("button", name="Do not ask again").click()
        arrived(page)
        sign_out(page)
        page.goto("/sign-in")
        fill_in(page, person)
        arrived(page)

    def test_creates_one(self, page, person, site):
        page.goto("/sign-in")
        fill_in(page, person)
        arrived(page, self.OFFER)
        page.get_by_role("button", name="Create a passkey").click()
        expect(page.get_by_role("status")).to_have_text("The passkey is created.")
        arrived(page)

    def test_is_not_made_to_a_browser_without_passkeys(self, page, person):
        page.add_init_script("delete globalThis.PublicKeyCredential")
        sign_in(page, person)
        arrived(page)
        page.goto("/account/security/passkeys/offer?next=/account/security")
        arrived(page, "Security")
        page.goto(ADD)
        expect(page.get_by_text("This browser does not support passkeys.")).to_be_visible()
        expect(page.get_by_role("button", name="Create a passkey")).to_be_hidden()
