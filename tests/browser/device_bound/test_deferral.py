"""The access cookie has expired: the browser delays a request until it has refreshed, and then sends it as usual."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import at_length
from tests.browser.device_bound.test_binding import link_on_another_site
from tests.browser.steps import ACCESS, EXPIRED, NOTE, cookie, show_other_site
from tests.browser.test_cross_site_page import start_and_stop

PICTURE = """async () => {
    const image = new Image();
    image.src = '/probe/picture';
    await image.decode();
    return image.naturalWidth;
}"""


def test_a_form_is_delayed_and_keeps_its_data(bound, person):
    bound.sees(person)
    bound.page.get_by_label("Note").fill("written while the token expired")
    bound.expire()
    bound.page.get_by_role("button", name="Save").click()
    expect(bound.page.locator("#noted")).to_have_text("written while the token expired")
    expect(bound.page.locator("#who")).to_have_text(person.email)
    assert bound.proofs == [200]


def test_an_image_is_delayed(bound, person):
    bound.sees(person)
    bound.expire()
    assert (bound.page.evaluate(PICTURE), bound.proofs) == (1, [200])


def test_twelve_requests_of_two_tabs_are_one_refresh_and_one_new_cookie(bound):
    tabs = [bound.page, bound.context.new_page()]
    for tab in tabs:
        tab.goto(NOTE)
    bound.forget()
    bound.expire()
    six = "Promise.all(Array.from({length: 6}, () => fetch('/api/auth/me').then((answer) => answer.status)))"
    for tab in tabs:
        tab.evaluate(f"void (window.begun = {six})")
    assert [tab.evaluate("begun") for tab in tabs] == [[200] * 6] * 2
    assert bound.proofs == [200]
    sent = [one.sent("Cookie").split("; ") for one in bound.asked("/api/auth/me")]
    assert [f"{ACCESS}={cookie(bound.context, ACCESS)}" in pairs for pairs in sent] == [True] * 12


@pytest.mark.parametrize("path", [NOTE, *at_length("/password/change")])
def test_a_link_on_another_site_arrives_signed_in(bound, person, path):
    bound.expire()
    link_on_another_site(bound, path)
    expect(bound.page).to_have_url(f"{bound.site.origin}{path}")
    expect(bound.page.locator("body")).to_contain_text(person.email if path == NOTE else "Current password")
    assert bound.proofs == [200]


def test_a_link_on_another_site_that_is_followed_before_the_first_proof_arrives_signed_in(device, site, person):
    """The refresh token ends by that proof, while the page that refreshes by it is open."""
    device.sign_in(person)
    site.forward(EXPIRED)
    link_on_another_site(device, f"{NOTE}#who")
    expect(device.page.locator("#who")).to_have_text(person.email)


def test_a_page_of_another_site_that_starts_and_stops_navigations_ends_no_session(bound, site, person):
    evil = bound.context.new_page()
    show_other_site(evil)
    for _ in range(3):
        bound.expire()
        start_and_stop(evil, site)
    bound.sees(person)
    assert site.reasons(person) == [""]


def open_a_page(page: Page) -> int | None:
    answer = page.goto("/password/change")
    return answer.status if "/sign-in" not in page.url else None


def send_a_form(page: Page) -> int | None:
    page.get_by_label("Note").fill("kept")
    with page.expect_navigation() as going:
        page.get_by_role("button", name="Save").click()
    expect(page.locator("#noted")).to_have_text("kept")
    expect(page.locator("#who")).not_to_have_text("nobody")
    return going.value.status


def fetch_as_a_client(page: Page) -> int | None:
    """Refresh and repeat a request that is rejected because its token has expired."""
    return page.evaluate(
        """async () => {
            const refused = await fetch("/api/auth/me");
            if ((await refused.json()).code !== "token_expired") return 0;
            const refreshed = await fetch("/api/auth/refresh", { method: "POST" });
            return refreshed.ok ? (await fetch("/api/auth/me")).status : refreshed.status;
        }"""
    )


@pytest.mark.parametrize("ask", [open_a_page, send_a_form, *at_length(fetch_as_a_client)])
def test_an_access_token_that_is_rejected_before_its_cookie_expires_is_refreshed(bound, person, site, ask):
    """The server's clock is ahead of the browser's, or its signing key has changed. The user need not sign in."""
    bound.sees(person)
    site.forward(EXPIRED)
    assert (ask(bound.page), bound.proofs) == (200, [200])
    bound.sees(person)
