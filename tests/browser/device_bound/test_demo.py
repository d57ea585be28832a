"""The demo over https: the session is bound, and its thief fails before the owner's eyes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Sites
from tests.browser.device_bound.conftest import OFFER
from tests.browser.sites import Site
from tests.browser.steps import sign_in
from tests.browser.test_demo import drawn, generations, press, said


@pytest.fixture
def site(sites: Sites) -> Iterator[Site]:
    """In development, which alone has the demo."""
    return sites(**OFFER, DEBUG="true", ALLOWED_HOSTS="app.test")


def test_the_thief_fails_and_the_owner_goes_on(new_device, site, person):
    device = new_device()
    page = device.page
    sign_in(page, person, path="/demo")
    device.wait_for_key()
    press(page, "ask")
    device.wait_for_refresh()
    press(page, "clear")
    press(page, "thief")
    assert drawn(page, "thief") == ["served", "refused"]
    assert drawn(page)[-3:] == ["refreshed", "served", "served"]
    expect(page.locator("#log")).to_contain_text("the copy is worth nothing, now and for ever")
    assert "The access token was good" in said(page)
    assert generations(page)[-1] == "2"
    expect(page.get_by_text("This session has ended, in every jar.")).to_be_hidden()
    press(page, "thief")
    assert drawn(page, "thief")[-1] == "refused"
    assert [row["revoked_reason"] for row in site.sessions(person)] == [""]
