"""The demo over https: the session is bound, and the thief's requests fail while the owner watches."""

import pytest
from playwright.sync_api import expect

from tests.browser.demo import drawn, generations, press, sentence
from tests.browser.device_bound.conftest import OFFER
from tests.browser.steps import FAST_TIMERS, sign_in


@pytest.fixture
def environment() -> dict[str, str]:
    """The settings of development. In production there is no demo."""
    return {**OFFER, "DEBUG": "true", "ALLOWED_HOSTS": "app.test"}


def test_the_thief_fails_and_the_owner_stays_signed_in(device, site, person):
    page = device.page
    page.add_init_script(FAST_TIMERS)
    sign_in(page, person, path="/sign-in?next=/demo")
    device.wait_for_key()
    press(page, "ask")
    device.wait_for_refresh()
    press(page, "clear", "thief")
    assert drawn(page, "thief") == ["served", "refused"]
    assert drawn(page)[-3:] == ["refreshed", "served", "served"]
    expect(page.locator("#log")).to_contain_text("The copy is useless, and you notice nothing.")
    assert "The access token was valid" in sentence(page)
    assert generations(page)[-1] == "2"
    expect(page.get_by_text("This session has ended in all browsers.")).to_be_hidden()
    press(page, "thief")
    assert drawn(page, "thief")[-1] == "refused"
    assert site.reasons(person) == [""]
