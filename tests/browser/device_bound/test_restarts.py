"""A browser is closed or killed, and opened again: it still has its key, and the session continues."""

from collections.abc import Callable

import pytest

from tests.browser.device_bound.devices import Device, bound_sessions
from tests.browser.device_bound.test_outages import assert_unavailable


@pytest.fixture
def open_browser(profile, site) -> Callable[[], Device]:
    """Opens the same browser, again after it was closed or killed. Another one would not have its key."""
    return lambda: Device(profile.open(), site)


def test_the_session_continues_after_the_browser_is_closed_and_killed(profile, open_browser, site, person):
    device = open_browser()
    device.bind(person, remember=True)
    for end in (device.context.close, profile.kill):
        end()
        device = open_browser()
        device.sees(person)
        device.expires_and_sees(person)
        device.wait_for_refresh()
    assert site.reasons(person) == [""]


@pytest.mark.exhaustive
def test_a_browser_that_has_signed_too_often_gets_503_until_it_is_opened_again(open_browser, site, person):
    """Chromium signs six times in nine minutes."""
    device = open_browser()
    device.bind(person, remember=True)
    device.expires_and_sees(person, times=4)
    device.expire()
    assert_unavailable(device)
    assert device.happened("refresh")[-1]["refreshResult"] != "Refreshed"
    assert site.reasons(person) == [""]
    device.context.close()

    device = open_browser()
    device.sees(person)
    device.wait_for_refresh()


def test_a_session_that_is_not_to_be_remembered_ends_with_the_browser(open_browser, site, person):
    """The key survives the browser, so the session must not."""
    device = open_browser()
    device.bind(person)
    device.context.close()

    device = open_browser()
    device.sees(None)
    assert device.wait_for_end()
    assert bound_sessions(site, person), "any client could claim that it was closed, so the row stays until it expires"
