"""In mode ``scoped`` browsers send pages no refresh token. They ask for the password, also without JavaScript."""

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.steps import sign_in
from tests.browser.test_pages_without_javascript import rename_among_others, shows


@pytest.fixture
def environment() -> dict[str, str]:
    return {"TOKENS_MODES": "scoped"}


@pytest.fixture
def context(new_context, site) -> BrowserContext:
    """The user's browser, with JavaScript disabled. With it, a page that needs a script would pass these tests."""
    return new_context(base_url=site.origin, java_script_enabled=False)


def test_a_user_renames_this_device_and_signs_others_out(visit):
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


def test_a_user_changes_the_address_and_deletes_the_account(visit):
    page = visit.page
    sign_in(page, visit.person)
    page.get_by_role("link", name="Change your e-mail address").click()
    visit.fill(email=f"new-{visit.person.email}", current_password=visit.person.password)
    shows(page, "Check your mail")
    page.goto("/account/delete")
    page.get_by_label("Delete my account permanently").check()
    visit.fill(current_password=visit.person.password)
    shows(page, "Your account has been deleted")
