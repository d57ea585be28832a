"""A page with a session enters the back-forward cache, and asks who is signed in when the user comes back."""

import pytest

from tests.browser.session.worlds import Tab


def leave(tab: Tab) -> None:
    tab.page.evaluate(
        "globalThis.here = true; globalThis.cameBack = false;"
        "addEventListener('pageshow', ({ persisted }) => (globalThis.cameBack = persisted));"
    )
    tab.wait_for_no_lock()  # The browser does not cache a page that holds a lock.
    tab.page.goto("/api/own-affair")


def come_back(tab: Tab) -> None:
    tab.page.evaluate("void setTimeout(() => history.back())")
    tab.wait_for("location.pathname === '/app'")
    tab.wait_for("globalThis.here ? globalThis.cameBack : document.readyState === 'complete'")
    why_not = tab.page.evaluate("performance.getEntriesByType('navigation')[0].notRestoredReasons?.reasons")
    is_here = tab.page.evaluate("globalThis.here === true")
    if not is_here and why_not is None:
        pytest.skip("The browser has loaded the page again instead, and does not say why. Only Chromium does.")
    assert is_here, f"the page was not in the cache: {why_not}"
    tab.wait_for_no_lock()  # The client asks who is signed in.


def test_a_page_that_comes_back_is_still_signed_in(signed_in, world, person):
    leave(signed_in)
    come_back(signed_in)
    assert (signed_in.user, signed_in.fetch()) == (person.email, [200])
    world.forward(601)
    assert (signed_in.fetch(), signed_in.heard) == ([200], [["signin", person.email]])


def test_a_page_that_comes_back_learns_what_happened_meanwhile(signed_in, new_tab, world, person):
    other_tab, other = new_tab(), world.auth.new_person()
    leave(signed_in)
    other_tab.sign_in(other)
    come_back(signed_in)
    signed_in.wait_for(f"session.user?.email === '{other.email}'")
    leave(signed_in)
    other_tab.sign_out()
    come_back(signed_in)
    signed_in.wait_for("!session.user")
    assert signed_in.heard == [["signin", person.email], ["signin", other.email], ["expire", None]]
    other_tab.sign_in(person)  # The page receives events again.
    signed_in.wait_for("session.user")
