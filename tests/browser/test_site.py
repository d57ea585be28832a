from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, REFRESH, cookie, sign_in


def test_somebody_signs_in_the_token_expires_and_they_go_on_without_noticing(
    page: Page, context: BrowserContext, site: Site, person: Person
) -> None:
    sign_in(page, person)
    before = cookie(context, ACCESS), cookie(context, REFRESH)
    site.forward(601)
    page.goto("/")
    expect(page.locator("body")).to_contain_text(person.email)
    after = cookie(context, ACCESS), cookie(context, REFRESH)
    assert None not in {*before, *after}
    assert not set(before) & set(after)
    (session,) = site.sessions(person)
    assert session["generation"] == 1
