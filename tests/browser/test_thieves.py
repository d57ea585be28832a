"""An attacker uses stolen cookies in a second browser: the session ends for both, and the user is told."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import EXPIRED, assert_user


@pytest.fixture
def thief(signed_in, context, new_context, site) -> Page:
    """A page in another browser that holds a copy of the user's cookies. The access token has expired since."""
    stolen = new_context(base_url=site.origin, user_agent="a thief's own")
    stolen.add_cookies(context.cookies())
    site.forward(EXPIRED)
    return stolen.new_page()


@pytest.mark.parametrize("first", ["the user", "the thief"])
def test_a_stolen_cookie_ends_the_session_for_both(signed_in, thief, site, person, first):
    faster, slower = (signed_in, thief) if first == "the user" else (thief, signed_in)
    assert_user(faster, person)
    site.forward(100)  # After the grace, the use of the new token proves that it has arrived.
    assert_user(faster, person)
    assert_user(slower, None)
    assert_user(faster, None)  # The faster browser's access token has not expired, but the session is revoked.
    signed_in.goto("/")
    expect(signed_in.get_by_label("Password")).to_be_visible()
    assert site.reasons(person) == ["reuse_detected"]
    assert "reuse_detected" in site.events(person)
