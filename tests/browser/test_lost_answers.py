"""An answer with new cookies never arrives: the session continues, however late the next request comes."""

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from tests.browser.engines import CHROMIUM
from tests.browser.sites import Person, Site
from tests.browser.steps import EXPIRED, NOTE, REFRESH, assert_user, cookie, is_error_page, sign_in

LATE = 3 * 3600
"""The seconds until the next request. How late it comes does not matter: see `tests.tokens.protocol.test_rotation`."""


def assert_continues(page: Page, site: Site, person: Person) -> None:
    """Check that the user is still signed in, and is after the next rotation too."""
    assert_user(page, person)
    site.forward(EXPIRED)
    assert_user(page, person)
    assert (site.generations(person), site.reasons(person)) == ([2], [""])


def lose_answer(page: Page, site: Site, engine: str) -> None:
    """Open a page, and lose its answer: the browser shows its own error page."""
    with site.lose_answers(NOTE):
        with pytest.raises(PlaywrightError, match=r"ERR_EMPTY_RESPONSE|ERR_CONNECTION|NS_ERROR_NET"):
            page.goto(NOTE)
        if engine == CHROMIUM:  # Its error page comes later, and would end the next navigation.
            page.wait_for_url(is_error_page)


def leave(page: Page, site: Site, how: str) -> None:
    """Open a page, and navigate elsewhere or close the tab before it answers."""
    site.hold_answers("/probe/who")
    page.evaluate("location.href = '/probe/who'")
    site.wait_until_held()
    page.close() if how == "closing the tab" else page.goto("about:blank")
    site.deliver_to_nobody()


@pytest.mark.parametrize("how", ["navigating away", "closing the tab", "a broken connection"])
def test_an_answer_that_is_lost_does_not_end_the_session(page, context, site, person, how, engine):
    sign_in(page, person, remember=True)
    site.forward(EXPIRED)
    before = cookie(context, REFRESH)
    if how == "a broken connection":
        lose_answer(page, site, engine)
    else:
        leave(page, site, how)
    assert cookie(context, REFRESH) == before
    site.forward(LATE)
    assert_continues(context.new_page(), site, person)


def test_a_browser_that_is_killed_before_it_has_saved_its_new_cookies_is_still_signed_in(profile, site, person):
    browser = profile.open()
    sign_in(browser.new_page(), person, remember=True)
    browser.close()  # The browser saves its cookies when a user closes it.
    browser = profile.open()
    before = cookie(browser, REFRESH)
    assert before
    site.forward(EXPIRED)
    assert_user(browser.new_page(), person)
    assert cookie(browser, REFRESH) != before
    profile.kill()
    site.forward(LATE)
    browser = profile.open()
    assert cookie(browser, REFRESH) == before
    assert_continues(browser.new_page(), site, person)
