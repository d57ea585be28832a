"""A member of the staff sets up a factor at the sign-in to the admin, in a browser (REQUIRED_FACTORS)."""

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.authenticators import BY_PRESS, Authenticator
from tests.browser.sites import Person, Site

FACTOR = "**/sign-in/factor*"


@pytest.fixture
def environment() -> dict[str, str]:
    """Requires a factor of the staff. Otherwise the password would be enough."""
    return {"TOKENS_REQUIRED_FACTORS": "staff"}


@pytest.fixture
def person(site: Site) -> Person:
    """A superuser, of whom a factor is required. Another user would be asked for none."""
    return site.new_person(is_staff=True, is_superuser=True)


def give_the_password(page: Page, person: Person) -> None:
    page.goto("/admin/")
    page.locator("[name=username]").fill(person.email)
    page.locator("[name=password]").fill(person.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(FACTOR)


def test_an_app_and_then_recovery_codes(page, person, site, is_accessible):
    now = site.do("import time\nresult = int(time.time())")
    give_the_password(page, person)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    is_accessible()
    app = pyotp.TOTP(page.locator("code").inner_text().replace(" ", ""))
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("That did not work.")).to_be_visible()
    is_accessible()
    page.get_by_label("Code", exact=True).fill(app.at(now))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Get recovery codes")
    is_accessible()
    page.get_by_role("button", name="Get recovery codes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def test_a_passkey(page, person, site, is_accessible):
    page.add_init_script(BY_PRESS)
    Authenticator(page)
    give_the_password(page, person)
    page.get_by_role("link", name="Use this instead: passkey").click()
    is_accessible()
    page.get_by_role("button", name="Create a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Get recovery codes")
    page.get_by_role("link", name="Not now").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
