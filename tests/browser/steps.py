"""Steps of a user in a browser, and what a test reads from it."""

import re
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.sites import Person

ACCESS, REFRESH, CLAIM = "__Host-access", "__Host-Http-refresh", "__Host-claim"
EXPIRED = 601
"""Seconds after which an access token has expired."""
NOTE = "/probe/note"
"""A page of `tests.browser.urls` with a form, which shows who is signed in."""
OTHER_SITE = "https://evil.test/"
FAST_TIMERS = "globalThis.setTimeout = ((wait) => (then, time) => wait(then, time / 20))(setTimeout)"
"""Runs before a page's own scripts. Their timers then take a twentieth of the time."""


_NOTE_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => {
    noteViolation(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
});"""


def fill_in(page: Page, person: Person) -> None:
    """Fill the sign-in form that the page shows, and send it."""
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def sign_in(page: Page, person: Person, *, remember: bool = False, path: str = "/sign-in") -> None:
    """Sign in by the form, and wait for the next page. ``path``: of the form, or of a page that redirects to it."""
    page.goto(path)
    if remember:
        page.get_by_label("Remember me on this device").check()
    fill_in(page, person)
    page.wait_for_url(lambda url: "/sign-in" not in url)


def sign_in_by_api(page: Page, person: Person, **more: Any) -> None:
    """Sign in by a script. A browser that is signed in is redirected away from the form, and needs this instead."""
    page.goto(NOTE)
    status = page.evaluate(
        "data => fetch('/api/auth/login', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        " body: JSON.stringify(data)}).then(r => r.status)",
        {"email": person.email, "password": person.password, **more},
    )
    assert status == 200


def sign_out(page: Page) -> None:
    """Press the button in the page's header, and wait for the page that says so."""
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")


def assert_user(page: Page, person: Person | None) -> None:
    """Go to a page that shows who is signed in: this user, or, with None, nobody."""
    page.goto(NOTE)
    expect(page.locator("#who")).to_have_text(person.email if person else "nobody")


def is_error_page(url: str) -> bool:
    """Return whether this is the URL of a browser's own page about an error."""
    return url.startswith(("chrome-error:", "about:neterror"))


def cookie(context: BrowserContext, name: str) -> str | None:
    """Return the value of a cookie, even if it is HttpOnly."""
    return next((found["value"] for found in context.cookies() if found.get("name") == name), None)


def tokens(context: BrowserContext) -> tuple[str | None, str | None]:
    """Return the values of the access and the refresh cookie."""
    return cookie(context, ACCESS), cookie(context, REFRESH)


def show_other_site(page: Page, body: str = "", origin: str = OTHER_SITE) -> None:
    """Go to a page of another site, with this body."""
    html = f"<!doctype html>{body}"
    page.route(f"{origin}**", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(origin)


def policy_violations(context: BrowserContext) -> list[str]:
    """Return a list to which each violation of the content security policy in this browser will be added.

    Chromium reports them in its console, also those in frames whose scripts do not run. The other browsers report them
    to the page, by an event.
    """
    found: list[str] = []
    if context.browser is None or context.browser.browser_type.name == "chromium":
        context.on(
            "console", lambda said: re.search("Content Security Policy|Refused", said.text) and found.append(said.text)
        )
        return found
    context.expose_function("noteViolation", lambda what: found.append(what))  # Playwright takes no built-in method.
    context.add_init_script(_NOTE_VIOLATIONS)
    return found
