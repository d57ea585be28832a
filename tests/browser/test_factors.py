"""An authenticator app in a browser: set up, signed in with, on pages that are accessible on a phone and a laptop."""

import pyotp
from playwright.sync_api import expect

from tests.browser.steps import fill_in, sign_out


def test_a_user_sets_an_app_up_and_signs_in_with_it(signed_in, person, site, is_accessible):
    def code() -> str:
        return app.at(site.do("import time\nresult = int(time.time())"))  # Other tests may have moved its clock.

    page = signed_in
    page.get_by_role("navigation").get_by_role("link", name="Security").click()
    is_accessible()
    page.get_by_role("link", name="Set up an authenticator app").click()
    is_accessible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    is_accessible()
    app = pyotp.TOTP(page.locator("code").inner_text().replace(" ", ""))
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("This code is not right.")).to_be_visible()
    is_accessible()
    page.get_by_label("Code", exact=True).fill(code())
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    codes = page.locator("#recovery-codes code").all_inner_texts()
    assert len(set(codes)) == 10
    is_accessible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_text().split() == codes
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_text("Codes left: 10.")).to_be_visible()
    is_accessible()
    sign_out(page)
    page.goto("/sign-in")
    fill_in(page, person)
    page.wait_for_url("**/sign-in/factor*")
    is_accessible()
    site.forward(app.interval)  # A code counts once.
    page.locator("main input:not([type=hidden])").first.fill(code())
    page.locator("main form button").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your devices")
