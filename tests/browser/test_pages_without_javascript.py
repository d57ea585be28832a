"""Everything that the pages are for works where no script runs: nothing here needs one, so nobody needs it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.pages import NEW_PASSWORD
from tests.browser.sites import Person, Site
from tests.browser.steps import sign_in


@pytest.fixture
def context(jar: Callable[..., BrowserContext], site: Site) -> BrowserContext:
    """One person's browser, with JavaScript switched off."""
    return jar(base_url=site.origin, java_script_enabled=False)


def shows(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_somebody_registers_confirms_signs_in_and_out(visit):
    page = visit.page
    new = Person(f"new-{visit.person.email}", NEW_PASSWORD)
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    visit.fill(email=new.email, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    shows(page, "Look into your mailbox")
    (mail,) = visit.site.mails(new)
    page.goto(next(word for word in mail["text"].split() if "?token=" in word))
    page.get_by_role("button", name="Confirm").click()
    shows(page, "Your e-mail address is confirmed")
    page.get_by_role("link", name="Sign in").click()
    visit.fill(username=new.email, password=NEW_PASSWORD)
    shows(page, "Your devices")
    page.get_by_role("button", name="Sign out").click()
    shows(page, "You are signed out")


def test_somebody_looks_after_their_devices(visit):
    page = visit.page
    for name in ("Lost phone", "Old laptop", "Kitchen"):
        visit.sign_in_elsewhere(name)
    sign_in(page, visit.person)
    own = page.get_by_role("listitem").filter(has_text="This device")
    own.locator("summary").click()
    own.get_by_label("Name of the device").fill("My desk")
    own.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("The device is called “My desk” now.")
    expect(own.get_by_role("heading")).to_have_text("My desk")
    page.get_by_role("button", name="Sign out Lost phone").click()
    expect(page.get_by_role("status")).to_have_text("“Lost phone” is signed out.")
    visit.site.forward(901)
    page.get_by_role("button", name="Sign out everywhere else").click()
    shows(page, "Your password, once more")
    visit.fill(current_password="wrong")
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    visit.fill(current_password=visit.person.password)
    shows(page, "Your devices")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("You are signed in on this device alone.")).to_be_visible()
    reasons = [row["revoked_reason"] for row in visit.site.sessions(visit.person)]
    assert reasons == ["ended_by_user", "ended_by_user", "ended_by_user", ""]
    assert "sign_in_failed" in visit.site.events(visit.person)


def test_somebody_changes_address_and_password(visit):
    page, new = visit.page, Person(f"new-{visit.person.email}", NEW_PASSWORD)
    sign_in(page, visit.person)
    page.get_by_role("link", name="Change your e-mail address").click()
    visit.fill(email=new.email)
    shows(page, "Look into your mailbox")
    page.goto(next(word for word in visit.site.mails(new)[-1]["text"].split() if "?token=" in word))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="Your devices").first.click()
    expect(page.get_by_text(new.email)).to_be_visible()
    page.get_by_role("link", name="Change your password").click()
    visit.fill(current_password=visit.person.password, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    shows(page, "Your password is changed")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, new)
    shows(page, "Your devices")


def test_somebody_has_forgotten_the_password(visit):
    page = visit.page
    page.goto("/sign-in")
    page.get_by_role("link", name="Forgotten your password?").click()
    visit.fill(email=visit.person.email)
    page.goto(visit.link("Choose a new password"))
    visit.fill(password1="short", password2="short")
    expect(page.locator(".errorlist")).to_contain_text("too short")
    visit.fill(password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    shows(page, "Your password is changed")
    sign_in(page, Person(visit.person.email, NEW_PASSWORD))


def test_somebody_deletes_their_account(visit):
    page = visit.page
    sign_in(page, visit.person)
    page.get_by_role("link", name="Delete your account").click()
    page.get_by_label("Delete my account, for good").check()
    page.get_by_role("button", name="Delete").click()
    shows(page, "Your account is deleted")
    page.get_by_role("link", name="Sign in").click()
    visit.fill(username=visit.person.email, password=visit.person.password)
    expect(page.locator(".errorlist")).to_have_text("There is no active account with this e-mail address and password.")
