"""Passkeys in a real Firefox, if it is installed (``apt-get install firefox-esr``). It has no Signal API yet."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.firefox import PROGRAMS, Firefox, firefox
from tests.browser.sites import Person, Site
from tests.scale.cluster import wait_for

PRESS = """([fields, name]) => {
    for (const [field, value] of fields) document.querySelector(`main [name=${field}]`).value = value;
    [...document.querySelectorAll("main button")].find((button) => button.textContent === name).click();
}"""


@pytest.fixture
def browser(site: Site, tmp_path: Path) -> Iterator[Firefox]:
    """A Firefox that can have an authenticator. Playwright gives one to Chromium only."""
    if not any(map(shutil.which, PROGRAMS)):
        pytest.skip("Firefox is not installed.")
    with firefox(tmp_path / "profile", site.host) as found:
        yield found


def press(browser: Firefox, button: str, **fields: str) -> None:
    browser.evaluate(PRESS, [list(fields.items()), button])


def test_a_user_creates_one_and_signs_in_by_a_button(browser: Firefox, site: Site, person: Person) -> None:
    def arrives_at(path: str) -> None:
        wait_for(lambda: browser.url() == site.origin + path, path)

    browser.goto(f"{site.origin}/sign-in")
    press(browser, "Sign in", username=person.email, password=person.password)
    arrives_at("/")
    browser.add_authenticator()
    browser.goto(f"{site.origin}/account/security/passkeys/add")
    press(browser, "Create a passkey")
    arrives_at("/account/security")
    # The address changes before the page is there.
    wait_for(lambda: browser.evaluate("() => document.querySelector('header button') !== null"), "the button")
    browser.evaluate("() => document.querySelector('header button').click()")
    arrives_at("/signed-out")
    browser.goto(f"{site.origin}/sign-in?next=/account/security")
    press(browser, "Use a passkey")
    arrives_at("/account/security")
    assert site.events(person)[-1] == "signed_in"
    assert site.sessions(person)[-1]["revoked_reason"] == ""
