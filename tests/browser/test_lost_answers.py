"""Answers that never arrive, with the new cookies in them: the session goes on, however late the next request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Playwright, expect

from tests.browser.conftest import at_length, launch_options
from tests.browser.profiles import Profile, profile_kept
from tests.browser.sites import Certificate, Person, Site
from tests.browser.steps import REFRESH, cookie, sign_in

NOTE = "/probe/note"
WITHIN_GRACE, AFTER_GRACE, HOURS = 1, 61, 3 * 3600

how_late = pytest.mark.parametrize(
    "late", [WITHIN_GRACE, *at_length(AFTER_GRACE), HOURS], ids=["at once", "a minute", "hours"]
)


def expire(site: Site) -> None:
    site.forward(601)


def goes_on(page: Page, site: Site, person: Person) -> None:
    """The person is still signed in, and the next rotation finds them so too."""
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email)
    expire(site)
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email)
    (session,) = site.sessions(person)
    assert session["revoked_reason"] == ""
    assert session["generation"] == 2


def go_in_vain(page: Page) -> None:
    """Ask for a page, and get the browser's own that says there was no answer."""
    with pytest.raises(PlaywrightError, match=r"ERR_EMPTY_RESPONSE|ERR_CONNECTION"):
        page.goto(NOTE)
    page.wait_for_url("chrome-error://**")


@how_late
def test_by_navigating_away(page, context, site, person, late):
    sign_in(page, person, remember=True)
    before = cookie(context, REFRESH)
    expire(site)
    site.hold_answers("/probe/who")
    page.evaluate("location.href = '/probe/who'")
    site.wait_until_held()
    page.goto("about:blank")
    site.deliver_to_nobody()
    assert cookie(context, REFRESH) == before
    site.forward(late)
    goes_on(page, site, person)


@how_late
def test_by_closing_the_tab(page, context, site, person, late):
    sign_in(page, person, remember=True)
    before = cookie(context, REFRESH)
    expire(site)
    site.hold_answers("/probe/who")
    page.evaluate("location.href = '/probe/who'")
    site.wait_until_held()
    page.close()
    site.deliver_to_nobody()
    assert cookie(context, REFRESH) == before
    site.forward(late)
    goes_on(context.new_page(), site, person)


@how_late
def test_by_the_network(page, context, site, person, late):
    sign_in(page, person, remember=True)
    before = cookie(context, REFRESH)
    expire(site)
    site.lose_answers(NOTE)
    go_in_vain(page)
    assert site.deliver() >= 1
    assert cookie(context, REFRESH) == before
    site.forward(late)
    goes_on(page, site, person)


def test_again_and_again_by_the_network(page, site, person):
    sign_in(page, person, remember=True)
    for _ in range(8):
        expire(site)
        site.lose_answers(NOTE)
        go_in_vain(page)
        site.deliver()
        site.forward(AFTER_GRACE)
        page.goto(NOTE)
        expect(page.locator("#who")).to_have_text(person.email)
    assert [session["revoked_reason"] for session in site.sessions(person)] == [""]
    assert site.events(person).count("refresh_recovered") == 8


@pytest.fixture
def profile(playwright: Playwright, certificate: Certificate, site: Site, tmp_path: Path) -> Iterator[Profile]:
    with profile_kept(playwright, tmp_path / "profile", base_url=site.origin, **launch_options(certificate)) as found:
        yield found


@how_late
def test_by_a_browser_that_dies_before_it_has_saved_its_cookies(profile, site, person, late):
    browser = profile.open()
    sign_in(browser.new_page(), person, remember=True)
    browser.close()  # As a person does: what it knows is saved.
    browser = profile.open()
    before = cookie(browser, REFRESH)
    assert before
    expire(site)
    page = browser.new_page()
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email)
    assert cookie(browser, REFRESH) != before
    profile.kill()
    site.forward(late)
    browser = profile.open()
    assert cookie(browser, REFRESH) == before
    goes_on(browser.new_page(), site, person)
