"""The page's clock may be wrong, and may have slept: the client compares it with the server's."""

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import at_length
from tests.browser.session.worlds import World

in_the_page = pytest.mark.parametrize("mode", ["scoped", *at_length("cookie", "subdomain")], indirect=True)
YEAR = 365 * 86400

_MOVABLE = """
globalThis.moved ??= 0;
globalThis.passed = 0;
performance.now = ((now) => () => now.call(performance) + globalThis.passed * 1000)(performance.now);
Date.now = ((now) => () => now() + globalThis.moved * 1000)(Date.now);
"""


@pytest.fixture
def context(context) -> BrowserContext:
    """The user's browser, whose pages can move their date (``moved``) and their monotonic clock (``passed``)."""
    context.add_init_script(_MOVABLE)
    return context


@in_the_page
def test_a_wrong_date_does_no_harm(world, new_tab, person):
    tabs = [new_tab(), new_tab()]
    for tab, wrong in zip(tabs, (-YEAR, YEAR), strict=True):
        tab.page.add_init_script(f"globalThis.moved = {wrong}")
        tab.reload()
    tabs[0].sign_in(person)
    assert tabs[1].restore() == person.email
    assert [tab.fetch(times=5) for tab in tabs] == [[200] * 5] * 2
    assert world.refreshes == []


SLEEPS = {
    "a date that was set back": (601, "moved = -86400, passed = 601", 1),
    "a machine that slept": (3600, "moved = 3600", 5),
}


@in_the_page
@pytest.mark.parametrize(("seconds", "move", "times"), SLEEPS.values(), ids=SLEEPS)
def test_an_expired_token_is_refreshed_before_a_request_despite(signed_in, world, seconds, move, times):
    world.forward(seconds)
    signed_in.page.evaluate(move)
    assert signed_in.fetch(times=times) == [200] * times
    asked = [one.status for one in world.answered() if "/device/" not in one.path]
    assert {*asked} == ({200, 307} if world.binds else {200})
    assert world.refreshes == [200]


@in_the_page
def test_a_token_in_its_last_minute_is_refreshed_beside_a_request_that_does_not_wait(signed_in, world, person):
    """In ``subdomain`` this needs a Date header that CORS exposes."""
    signed_in.page.evaluate("moved = 500")
    assert signed_in.fetch() == [200]
    assert world.refreshes == []
    signed_in.page.evaluate("moved = 565")
    with signed_in.page.expect_response("**/api/auth/refresh"):
        assert signed_in.fetch(times=5) == [200] * 5
    assert world.refreshes == [200]
    assert signed_in.fetch(times=5) == [200] * 5
    assert world.refreshes == [200]
    # The browser refreshes a bound session by its own clock, which the test has not moved.
    assert world.generation(person) == (0 if world.binds else 1)


@in_the_page
@pytest.mark.parametrize("event", ["visibilitychange", "resume"])
def test_a_tab_that_wakes_compares_the_clocks(signed_in, world, person, event):
    # `online` does what `visibilitychange` does, and ends the pauses in the tests of outages.
    wake = f"dispatchEvent(new Event('{event}', {{ bubbles: true }}))"
    signed_in.page.evaluate(f"document.{wake}")
    assert signed_in.fetch() == [200]
    assert world.refreshes == []  # The token was still good.
    world.auth.revoke(person)
    world.forward(3600)
    signed_in.page.evaluate(f"moved = 3600; document.{wake}")
    signed_in.wait_for("heard.at(-1)[0] === 'expire'")


@pytest.mark.exhaustive
def test_a_token_with_a_short_lifetime_is_refreshed_in_the_worker_before_it_expires(sites, new_context):
    """A test cannot move a worker's clock, so the token really expires."""
    site = sites(TOKENS_MODES="body", TOKENS_ACCESS_LIFETIME="8")
    world = World("body", site, site)
    tab, person = world.tab(new_context()), site.new_person()
    tab.sign_in(person)
    world.forget()
    while world.generation(person) < 2:
        assert tab.fetch() == [200]
        tab.page.wait_for_timeout(200)
    assert {one.status for one in world.answered()} == {200}
