"""A page of another site sends the user's browser to our pages, and stops it. Nobody is signed out by that."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.sites import Site
from tests.browser.steps import EXPIRED, NOTE, assert_user, show_other_site, sign_in, tokens
from tests.browser.watching import Watch

REFRESH_PATH = "/api/auth/refresh"


@pytest.fixture
def environment() -> dict[str, str]:
    """With the default of 8 a session would survive more lost answers than a test can wait for.

    A session that is bound to its device has no refresh token. `device_bound.test_deferral` tests it.
    """
    return {"TOKENS_MAX_RECOVERIES": "1"}


@pytest.fixture
def evil(context) -> Page:
    """A tab of the user's browser that shows a page of another site."""
    page = context.new_page()
    show_other_site(page)
    return page


def start_and_stop(evil: Page, site: Site) -> None:
    """Let the other site open our page in a tab, and stop this before the answer has arrived."""
    site.hold_answers(NOTE)
    evil.evaluate("url => { window.opened = open(url) }", site.origin + NOTE)
    site.wait_until_held()
    evil.evaluate("[opened.stop(), opened.close()]")
    site.deliver_to_nobody()


def test_a_page_of_another_site_that_starts_and_stops_navigations_ends_no_session(signed_in, site, person, evil):
    for _ in range(12):
        site.forward(EXPIRED)
        start_and_stop(evil, site)
    assert_user(signed_in, person)
    assert (site.generations(person), site.reasons(person)) == ([1], [""])


def test_the_new_cookies_are_kept_if_the_tab_is_closed_while_its_page_refreshes(signed_in, context, site, person, evil):
    site.forward(EXPIRED)
    before = tokens(context)
    site.hold_answers(REFRESH_PATH)
    with context.expect_page() as opening:
        evil.evaluate("url => { open(url) }", site.origin + NOTE)
    site.wait_until_held()
    opening.value.close()
    site.deliver()
    while tokens(context) == before:
        evil.wait_for_timeout(20)
    assert_user(signed_in, person)
    assert (site.generations(person), site.events(person)) == ([1], ["signed_in", "new_device"])


@pytest.mark.parametrize("fragment", ["", "#who", "?a=1#who"])
def test_a_link_from_another_site_leads_to_the_page_with_one_refresh(signed_in, site, person, evil, fragment):
    site.forward(EXPIRED)
    watch = Watch(site)
    evil.set_content(f'<a href="{site.origin}{NOTE}{fragment}">look</a>')
    evil.get_by_role("link").click()
    expect(evil.locator("#who")).to_have_text(person.email)
    assert evil.url == f"{site.origin}{NOTE}{fragment}"
    assert [one.sent("sec-fetch-site") for one in watch.answered(NOTE)] == ["cross-site", "same-origin"]
    assert (len(watch.answered(REFRESH_PATH)), site.generations(person)) == (1, [1])


@pytest.mark.chromium_only("the driver of Firefox does not switch scripts off")
def test_without_scripts_the_page_has_a_link(new_context, site, person):
    context: BrowserContext = new_context(base_url=site.origin, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, person)
    site.forward(EXPIRED)
    show_other_site(page, f'<a href="{site.origin}{NOTE}">look</a>')
    page.get_by_role("link").click()
    assert site.generations(person) == [0]
    page.get_by_role("link").click()
    expect(page.locator("#who")).to_have_text(person.email)
    assert site.generations(person) == [1]


def test_a_window_of_a_sandboxed_frame_shows_the_link_and_does_not_loop(signed_in, context, site, person, evil):
    """Its requests are those of another site, and its scripts have no cookies."""
    site.forward(EXPIRED)
    watch = Watch(site)
    link = f"<a target=_blank href='{site.origin}{NOTE}'>look</a>"
    evil.set_content(f'<iframe sandbox="allow-scripts allow-popups" srcdoc="{link}"></iframe>')
    with context.expect_page() as opening:
        evil.frame_locator("iframe").get_by_role("link").click()
    expect(opening.value.get_by_role("link")).to_be_visible()
    opening.value.wait_for_load_state("networkidle")
    assert (len(watch.answered(NOTE)), watch.answered(REFRESH_PATH), site.generations(person)) == (1, [], [0])
