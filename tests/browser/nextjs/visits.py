"""A user's steps in the app, and how the access token expires there: the clock of Next.js cannot be moved."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, Response

from tests.browser.nextjs.deployments import Deployment
from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, EXPIRED, cookie, sign_in


@contextmanager
def clock(site: Site, seconds: float) -> Iterator[None]:
    """Move Latchkey's clock during a block."""
    site.forward(seconds)
    try:
        yield
    finally:
        site.forward(-seconds)


@dataclass
class Visitor:
    """The user in front of a page. ``stack``: is closed at the end of the test."""

    page: Page
    deployment: Deployment
    person: Person
    stack: ExitStack

    @property
    def site(self) -> Site:
        return self.deployment.site

    def sign_in_ten_minutes_ago(self, *, remember: bool = False) -> None:
        """Sign in while Latchkey's clock is set back, so that the access token has expired now.

        The page that is open then is Latchkey's own. Any page of the app would refresh the token.
        """
        with clock(self.site, -EXPIRED):
            sign_in(self.page, self.person, remember=remember, path="/sign-in?next=/api/auth/me")

    def leave_open(self, path: str = "/account") -> None:
        """Open a page, and leave it open until its access token has expired. Its session is at generation 1 then."""
        self.sign_in_ten_minutes_ago()
        old = cookie(self.page.context, ACCESS)
        self.page.goto(path)
        self.put_back(old)
        self.stack.enter_context(clock(self.site, EXPIRED))

    def put_back(self, access: str | None) -> None:
        """Replace the access token in the browser by this older one, beside the newest refresh token."""
        assert access
        given = {"name": ACCESS, "value": access, "url": self.site.origin}
        self.page.context.add_cookies([{**given, "httpOnly": True, "secure": True, "sameSite": "Lax"}])

    @property
    def generation(self) -> int:
        """The generation of the user's newest session in Latchkey."""
        return self.site.generations(self.person)[-1]

    def facts(self, name: str = "facts") -> Any:
        """Return what the page shows of the token that the app's server got."""
        return json.loads(self.page.get_by_test_id(name).inner_text())

    def fetch(self, method: str = "GET", body: str | None = None) -> Any:
        """Return what the app's route handler answers to a script: its status and its JSON."""
        script = """([method, body]) => fetch("/api/whoami", {method, body})
            .then(async (got) => [got.status, await got.json()])"""
        return self.page.evaluate(script, [method, body])


def set_cookies(response: Response | None) -> dict[str, str]:
    """Return the attributes of each cookie that a response sets, by name."""
    assert response
    lines = [header["value"] for header in response.headers_array() if header["name"].lower() == "set-cookie"]
    found = {line.partition("=")[0]: line.partition(";")[2].strip() for line in lines}
    assert len(found) == len(lines)
    return found
