"""The page's clock is never held against the server's; and a machine that slept is told by the one that did not."""

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import at_length
from tests.browser.session.conftest import IN_COMMON
from tests.browser.session.worlds import World

IN_THE_PAGE = ["scoped", *at_length("cookie", "subdomain")]
YEAR = 365 * 86400

_MOVED = """
globalThis.moved = MOVED;
globalThis.passed = 0;
performance.now = ((now) => () => now.call(performance) + globalThis.passed * 1000)(performance.now);
Date.now = ((now) => () => now() + globalThis.moved * 1000)(Date.now);
"""


def clock_moved_by(context: BrowserContext, seconds: int) -> None:
    """Let pages' date be wrong. A page can change what it is ``moved`` by, and what ``passed`` on the other clock."""
    context.add_init_script(_MOVED.replace("MOVED", str(seconds)))


@pytest.mark.parametrize("mode", IN_THE_PAGE, indirect=True)
@pytest.mark.parametrize("wrong", [-YEAR, YEAR])
def test_a_date_that_is_wrong_does_no_harm(context, world, new_tab, person, wrong):
    clock_moved_by(context, wrong)
    tabs = [new_tab(), new_tab()]
    tabs[0].sign_in(person)
    assert tabs[1].restore() == person.email
    assert [tab.fetch(times=5) for tab in tabs] == [[200] * 5] * 2
    assert world.refreshes == []


@pytest.mark.parametrize("mode", IN_THE_PAGE, indirect=True)
def test_a_date_that_is_set_back_does_no_harm(context, world, new_tab, person):
    clock_moved_by(context, 0)
    tab = new_tab()
    tab.sign_in(person)
    world.forget()
    world.forward(601)
    tab.page.evaluate("moved = -86400, passed = 601")
    assert tab.fetch() == [200]
    assert {one.status for one in world.answered()} == {200}
    assert world.refreshes == [200]


@pytest.mark.parametrize("mode", IN_THE_PAGE, indirect=True)
def test_a_token_in_its_last_minute_is_renewed_by_a_request_which_does_not_wait(context, world, new_tab, person):
    """In ``subdomain`` this takes a Date header that CORS exposes."""
    clock_moved_by(context, 0)
    tab = new_tab()
    tab.sign_in(person)
    world.forget()
    tab.page.evaluate("moved = 500")
    assert tab.fetch() == [200]
    assert world.refreshes == []
    tab.page.evaluate("moved = 565")
    with tab.page.expect_response("**/api/auth/refresh"):
        assert tab.fetch(times=5) == [200] * 5
    assert world.refreshes == [200]
    assert tab.fetch(times=5) == [200] * 5
    assert world.refreshes == [200]
    assert world.generation(person) == 1


@pytest.mark.parametrize("mode", IN_THE_PAGE, indirect=True)
def test_a_machine_that_slept_refreshes_before_it_asks(context, world, new_tab, person):
    clock_moved_by(context, 0)
    tab = new_tab()
    tab.sign_in(person)
    world.forget()
    world.forward(3600)
    tab.page.evaluate("moved = 3600")
    assert tab.fetch(times=5) == [200] * 5
    assert {one.status for one in world.answered()} == {200}
    assert world.refreshes == [200]


@pytest.mark.parametrize("mode", IN_THE_PAGE, indirect=True)
@pytest.mark.parametrize("event", ["visibilitychange", "online", "resume"])
def test_a_tab_that_wakes_compares_the_clocks(context, world, new_tab, person, event):
    clock_moved_by(context, 0)
    tab = new_tab()
    tab.sign_in(person)
    wake = f"dispatchEvent(new Event('{event}', {{ bubbles: true }}))"
    tab.page.evaluate(f"document.{wake}")
    assert tab.fetch() == [200]
    assert world.refreshes == []  # There was nothing to do.
    world.end_sessions(person)
    world.forward(3600)
    tab.page.evaluate(f"moved = 3600; document.{wake}")
    tab.wait_for("heard.at(-1)[0] === 'expire'")


def test_a_short_life_is_renewed_in_the_worker_before_it_ends(sites, jar):
    """A worker's clock cannot be moved from here: the token really expires."""
    site = sites(TOKENS_MODES="body", TOKENS_ACCESS_LIFETIME="8", **IN_COMMON)
    world = World("body", site, site)
    tab, person = world.tab(jar()), site.new_person()
    tab.sign_in(person)
    world.forget()
    while world.generation(person) < 2:
        assert tab.fetch() == [200]
        tab.page.wait_for_timeout(200)
    assert {one.status for one in world.answered()} == {200}
