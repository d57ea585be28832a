"""Cookie prefixes in real browsers: a script cannot set ``__Host-Http-…``, and so plants no session that lasts.

Firefox is tested if it is installed (``apt-get install firefox-esr``).
"""

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser import engines
from tests.browser.firefox import PROGRAMS, firefox
from tests.browser.sites import UNBOUND, Person, Site
from tests.browser.steps import ACCESS, EXPIRED, NOTE, REFRESH, cookie, sign_in_by_api

DEVICE = "__Host-Http-device"
OLD_REFRESH, OLD_DEVICE = "__Host-refresh", "__Host-device"
HOST = "app.test"
FILL = """() => { for (let i = 0; i < 400; i++) document.cookie = `filler${i}=1; Path=/; Secure`; }"""
EMPTY = """() => { for (let i = 0; i < 400; i++) document.cookie = `filler${i}=; Path=/; Secure; Max-Age=0`; }"""
PLANT = """(cookies) => {
    for (const [name, value] of cookies) document.cookie = `${name}=${value}; Path=/; Secure; Max-Age=3600`;
}"""
SIGN_IN = """(data) => fetch('/api/auth/login', {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(data)
}).then((response) => response.status)"""
WHO = "() => document.querySelector('#who').textContent"


class ByPlaywright:
    """The same methods as those of `tests.browser.firefox.Firefox`."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.goto, self.evaluate = page.goto, page.evaluate

    def cookies(self) -> dict[str, str]:
        return {found["name"]: found["value"] for found in self.page.context.cookies()}


@pytest.fixture(params=["the browser of the run", "Firefox"])
def browser(request: pytest.FixtureRequest, new_context: Callable[..., Any], tmp_path: Any) -> Iterator[Any]:
    """The browser of the victim, as users have it: other versions may not know the prefixes."""
    if request.config.getoption("engine") == engines.WEBKIT:
        pytest.skip("WebKitGTK enforces no prefix. The test below says what that means.")
    if request.param != "Firefox":
        yield ByPlaywright(new_context().new_page())
    elif not any(map(shutil.which, PROGRAMS)):
        pytest.skip("Firefox is not installed.")
    else:
        with firefox(tmp_path / "profile", HOST) as found:
            yield found


@pytest.fixture(params=["true", "false"], ids=["new names", "old names"])
def site(request: pytest.FixtureRequest, sites: Callable[..., Site]) -> Site:
    """The site with each setting. With the old names the attack succeeds: the control of this test."""
    return sites(HOST, TOKENS_HTTP_COOKIE_NAMES=request.param, **UNBOUND)


def repeat_until(condition: Callable[[], bool], *steps: Callable[[], Any], seconds: float = 30) -> None:
    """Repeats the steps until the condition holds. A browser sets a script's cookies in another process, and later.

    Raises:
        AssertionError: It did not hold in time.
    """
    end = time.monotonic() + seconds
    while True:
        for step in steps:
            step()
        if condition():
            return
        assert time.monotonic() < end, "The browser did not set or drop the cookies in time."
        time.sleep(0.2)


def user_of(browser: Any, site: Site) -> str:
    browser.goto(f"{site.origin}{NOTE}")
    return str(browser.evaluate(WHO))


def test_a_script_that_fills_the_cookie_store_plants_no_session(browser, site, person, new_context, request):
    are_new = "new names" in request.node.name
    refresh, device = (REFRESH, DEVICE) if are_new else (OLD_REFRESH, OLD_DEVICE)
    attacker: Person = site.new_person()
    context = new_context(base_url=site.origin)
    sign_in_by_api(context.new_page(), attacker)
    stolen = {name: cookie(context, name) for name in (ACCESS, refresh, device)}

    browser.goto(f"{site.origin}{NOTE}")
    assert browser.evaluate(SIGN_IN, {"email": person.email, "password": person.password}) == 200
    assert user_of(browser, site) == person.email
    browser.evaluate(PLANT, list(stolen.items()))
    assert user_of(browser, site) == person.email  # A script cannot overwrite these cookies.

    repeat_until(
        lambda: {ACCESS, refresh, device}.isdisjoint(browser.cookies()),
        lambda: browser.evaluate(FILL),
        lambda: browser.evaluate(EMPTY),
    )
    names = {ACCESS: ACCESS, REFRESH: refresh, DEVICE: device, OLD_REFRESH: refresh, OLD_DEVICE: device}
    repeat_until(
        lambda: {ACCESS, OLD_REFRESH, OLD_DEVICE} <= set(browser.cookies()),
        lambda: browser.evaluate(PLANT, [(name, stolen[of]) for name, of in names.items()]),
    )
    assert {REFRESH, DEVICE}.isdisjoint(browser.cookies())

    # The access cookie has no such prefix. It counts until its token expires.
    assert user_of(browser, site) == attacker.email
    site.forward(EXPIRED)
    try:
        assert user_of(browser, site) == ("nobody" if are_new else attacker.email)
        browser.evaluate(SIGN_IN, {"email": person.email, "password": person.password})
        assert browser.cookies()[device] != stolen[device] or not are_new
    finally:
        site.forward(-EXPIRED)


def test_in_webkitgtk_a_sibling_host_plants_an_access_cookie_and_a_script_any_cookie(sites, new_context, engine):
    """What ``docs/reference/browsers.md`` says of it. If this fails, the browser has learned the prefixes."""
    if engine != engines.WEBKIT:
        pytest.skip("The other browsers enforce the prefixes.")
    auth, sibling = sites("auth.example.org", **UNBOUND), sites("app.example.org", **UNBOUND)
    attacker = auth.new_person()
    context = new_context(base_url=auth.origin)
    sign_in_by_api(context.new_page(), attacker)
    planted = f"{ACCESS}={cookie(context, ACCESS)}; Domain=example.org; Path=/; Secure"

    victim = new_context().new_page()
    assert user_of(victim, auth) == "nobody"
    victim.goto(f"{sibling.origin}{NOTE}")
    victim.evaluate("(cookie) => { document.cookie = cookie; }", planted)
    repeat_until(lambda: user_of(victim, auth) == attacker.email)
    auth.forward(EXPIRED)
    try:
        assert user_of(victim, auth) == "nobody"
    finally:
        auth.forward(-EXPIRED)
    victim.evaluate("(name) => { document.cookie = `${name}=planted; Path=/; Secure`; }", DEVICE)
    assert DEVICE in {found["name"] for found in victim.context.cookies()}
