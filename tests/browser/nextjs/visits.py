"""What people do in the app, in words; and how their access token comes to have expired."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Page, Response

from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, cookie, sign_in

LIFETIME = 601
"""Seconds after which an access token has surely expired."""


def sign_in_ten_minutes_ago(page: Page, site: Site, person: Person) -> None:
    """Sign in, with the clock of Latchkey set back meanwhile: that of Next.js cannot be moved.

    The access token has expired by now. The page seen last is Latchkey's own, for any of the app's would refresh.
    """
    with clock(site, -LIFETIME):
        sign_in(page, person, path="/sign-in?next=/api/auth/me")


@contextmanager
def clock(site: Site, seconds: float) -> Iterator[None]:
    site.forward(seconds)
    try:
        yield
    finally:
        site.forward(-seconds)


@contextmanager
def expired_meanwhile(page: Page, context: BrowserContext, site: Site, person: Person, path: str) -> Iterator[None]:
    """Leave the page at ``path`` open until its access token has expired, and the generation has long been used."""
    sign_in_ten_minutes_ago(page, site, person)
    old = cookie(context, ACCESS)
    assert old
    page.goto(path)
    put_back(context, site, old)
    with clock(site, LIFETIME):
        yield


def put_back(context: BrowserContext, site: Site, access: str) -> None:
    """Let the jar hold this access token again, beside the newest refresh token."""
    context.add_cookies(
        [{"name": ACCESS, "value": access, "url": site.origin, "httpOnly": True, "secure": True, "sameSite": "Lax"}]
    )


def facts(page: Page, name: str = "facts") -> Any:
    """What the app says of the token that its server was given."""
    return json.loads(page.get_by_test_id(name).inner_text())


def set_cookies(response: Response | None) -> dict[str, str]:
    """The cookies that a response sets, by name: what stands behind the value."""
    assert response
    lines = [header["value"] for header in response.headers_array() if header["name"].lower() == "set-cookie"]
    found = {line.partition("=")[0]: line.partition(";")[2].strip() for line in lines}
    assert len(found) == len(lines)
    return found
