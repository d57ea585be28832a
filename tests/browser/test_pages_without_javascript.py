"""All that users do on the pages works without JavaScript."""

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.pages import NEW_PASSWORD, NEW_TWICE
from tests.browser.sites import Person
from tests.browser.steps import sign_in, sign_out

pytestmark = pytest.mark.chromium_only("the driver of Firefox does not switch scripts off")


@pytest.fixture
def context(new_context, site) -> BrowserContext:
    """The user's browser, with JavaScript disabled. With it, a page that needs a script would pass these tests."""
    return new_context(base_url=site.origin, java_script_enabled=False)


def shows(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_a_user_registers_confirms_the_address_and_signs_in_and_out(visit):
    page, new = visit.page, Person(f"new-{visit.person.email}", NEW_PASSWORD)
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    visit.fill(email=new.email, **NEW_TWICE)
    shows(page, "Check your mail")
    assert len(visit.site.mails(new)) == 1
    visit.open_mail(new)
    visit.fill(password1="not the one")
    expect(page.get_by_text("You have registered with another password.")).to_be_visible()
    visit.fill(password1=NEW_PASSWORD)
    shows(page, "Your e-mail address is confirmed")
    page.get_by_role("link", name="Sign in").click()
    visit.fill(username=new.email, password=NEW_PASSWORD)
    shows(page, "Your devices")
    sign_out(page)


def rename_among_others(visit) -> Locator:
    """Sign in while three other devices are signed in, and name this one "My desk". Return its item of the list."""
    for name in ("Lost phone", "Old laptop", "Kitchen"):
        visit.sign_in_elsewhere(name)
    sign_in(visit.page, visit.person)
    own = visit.page.get_by_role("listitem").filter(has_text="This device")
    own.locator("summary").click()
    own.get_by_label("Name of the device").fill("My desk")
    own.get_by_role("button", name="Save").click()
    return own


def test_a_user_renames_this_device_and_signs_others_out(visit):
    page = visit.page
    own = rename_among_others(visit)
    expect(page.get_by_role("status")).to_have_text("The device is called “My desk” now.")
    expect(own.get_by_role("heading")).to_have_text("My desk")
    page.get_by_role("button", name="Sign out Lost phone").click()
    expect(page.get_by_role("status")).to_have_text("“Lost phone” is signed out.")
    visit.site.forward(901)
    page.get_by_role("button", name="Sign out everywhere else").click()
    shows(page, "Enter your password again")
    visit.fill(current_password="wrong")
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    visit.fill(current_password=visit.person.password)
    shows(page, "Your devices")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("You are signed in only on this device.")).to_be_visible()
    assert visit.site.reasons(visit.person) == ["ended_by_user", "ended_by_user", "ended_by_user", ""]
    assert "sign_in_failed" in visit.site.events(visit.person)


def test_a_user_changes_address_and_password(visit):
    page, new = visit.page, Person(f"new-{visit.person.email}", NEW_PASSWORD)
    sign_in(page, visit.person)
    page.get_by_role("link", name="Change your e-mail address").click()
    visit.fill(email=new.email)
    shows(page, "Check your mail")
    visit.open_mail(new)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="Your devices").first.click()
    expect(page.get_by_text(new.email)).to_be_visible()
    page.get_by_role("link", name="Change your password").click()
    visit.fill(current_password=visit.person.password, **NEW_TWICE)
    shows(page, "Your password has been changed")
    sign_out(page)
    sign_in(page, new)
    shows(page, "Your devices")


def test_a_user_who_forgot_the_password_chooses_a_new_one(visit):
    page, person = visit.page, visit.person
    page.goto("/sign-in")
    page.get_by_role("link", name="Forgotten your password?").click()
    visit.fill(email=person.email)
    assert "Choose a new password" in visit.site.mails(person)[-1]["subject"]
    visit.open_mail()
    visit.fill(password1="short", password2="short")
    expect(page.locator(".errorlist")).to_contain_text("too short")
    visit.fill(**NEW_TWICE)
    shows(page, "Your password has been changed")
    sign_in(page, Person(person.email, NEW_PASSWORD))


def test_a_user_deletes_the_account(visit):
    page, person = visit.page, visit.person
    sign_in(page, person)
    page.get_by_role("link", name="Delete your account").click()
    page.get_by_label("Delete my account permanently").check()
    page.get_by_role("button", name="Delete").click()
    shows(page, "Your account has been deleted")
    page.get_by_role("link", name="Sign in").click()
    visit.fill(username=person.email, password=person.password)
    expect(page.locator(".errorlist")).to_have_text("There is no active account with this e-mail address and password.")


class TestInModeScoped:
    """Browsers send pages no refresh token. The pages ask for the password instead."""

    @pytest.fixture
    def environment(self) -> dict[str, str]:
        """Lets browsers send pages no refresh token. Otherwise no page would ask for the password."""
        return {"TOKENS_MODES": "scoped"}

    def test_a_user_renames_this_device_and_signs_others_out(self, visit):
        page = visit.page
        rename_among_others(visit)
        shows(page, "Enter your password again")
        visit.fill(current_password="wrong")
        expect(page.get_by_text("This is not your current password.")).to_be_visible()
        visit.fill(current_password=visit.person.password)
        expect(page.get_by_role("status")).to_have_text("The device is called “My desk” now.")
        page.get_by_role("button", name="Sign out Lost phone").click()
        shows(page, "Enter your password again")
        visit.fill(current_password=visit.person.password)
        expect(page.get_by_role("status")).to_have_text("“Lost phone” is signed out.")
        page.get_by_role("button", name="Sign out everywhere else").click()
        visit.fill(current_password=visit.person.password)
        expect(page.get_by_text("You are signed in only on this device.")).to_be_visible()
        assert visit.site.reasons(visit.person) == ["ended_by_user", "ended_by_user", "ended_by_user", ""]

    def test_a_user_changes_the_address_and_deletes_the_account(self, visit):
        page = visit.page
        sign_in(page, visit.person)
        page.get_by_role("link", name="Change your e-mail address").click()
        visit.fill(email=f"new-{visit.person.email}", current_password=visit.person.password)
        shows(page, "Check your mail")
        page.goto("/account/delete")
        page.get_by_label("Delete my account permanently").check()
        visit.fill(current_password=visit.person.password)
        shows(page, "Your account has been deleted")
