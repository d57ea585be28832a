"""Browsers that hold a key, and what they say of the sessions that are bound to it."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, cookie, sign_in
from tests.browser.watching import Answered, Watch

REGISTER, REFRESH_BOUND = "/api/auth/device/register", "/api/auth/device/refresh"
WITH_KEYS = "--enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
"""Both are off on Linux, and neither is enough alone."""
NOTE = "/probe/note"

Event = dict[str, Any]


class Device:
    """One person's browser. ``events``: what it said of bound sessions, oldest first."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context, self.site = context, site
        self.events: list[Event] = []
        self.watch = Watch(site)
        # A tab of its own: what people do in theirs does not end the hearing.
        self._ear: Page = context.new_page()
        self._wire: CDPSession = context.new_cdp_session(self._ear)
        self._wire.on("Network.deviceBoundSessionEventOccurred", lambda event: self.events.append(event))
        self._wire.send("Network.enable")
        self._wire.send("Network.enableDeviceBoundSessions", {"enable": True})
        self.page = context.new_page()

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something has come, and return it."""
        for _ in range(500):
            if found := condition():
                return found
            self._ear.wait_for_timeout(20)
        said = "\n".join(json.dumps(event) for event in self.events)
        seen = "\n".join(f"{one.method} {one.path} {one.status}" for one in self.watch.answered())
        raise AssertionError(f"{what} did not come\n{said}\n{seen}")

    def forget(self) -> None:
        """What has happened until now is not to be counted."""
        self.events.clear()
        self.watch.forget()

    def happened(self, details: str) -> list[Event]:
        """The events of one kind: ``creation``, ``refresh``, ``termination``, ``challenge``."""
        return [event[f"{details}EventDetails"] for event in self.events if f"{details}EventDetails" in event]

    def wait_for_key(self) -> None:
        """Wait until the browser has registered a key for the session that was just opened."""
        (created, *_) = self.wait_until(lambda: self.happened("creation"), "a registration")
        assert created["fetchResult"] == "Success", created

    def wait_for_refresh(self, result: str = "Refreshed") -> None:
        """Wait until the browser has refreshed a session, with this result."""
        self.wait_until(
            lambda: [one for one in self.happened("refresh") if one["refreshResult"] == result], f"a refresh ({result})"
        )

    def wait_for_end(self) -> str:
        """Wait until the browser has forgotten a session; return why."""
        (ended, *_) = self.wait_until(lambda: self.happened("termination"), "the end of a session")
        reason: str = ended["deletionReason"]
        return reason

    def expire(self) -> None:
        """Let the access cookie come to its end, as ten minutes do."""
        assert cookie(self.context, ACCESS), "there is no access cookie"
        self._wire.send("Network.deleteCookies", {"name": ACCESS, "url": self.site.origin})
        assert cookie(self.context, ACCESS) is None

    def sign_in(self, person: Person, **options: Any) -> None:
        """Sign in by the form. The key is registered, and not yet used."""
        sign_in(self.page, person, **options)
        self.wait_for_key()

    def bind(self, person: Person, **options: Any) -> None:
        """Sign in, and prove the key once: from here on the session is the device's."""
        self.sign_in(person, **options)
        self.prove(person)
        self.forget()

    def prove(self, person: Person) -> None:
        """Go to a page: the first proof comes beside it, if it has not come yet."""
        self.sees(person)
        self.wait_for_refresh()
        assert bound_sessions(self.site, person)

    def sees(self, person: Person | None, page: Page | None = None) -> None:
        """Go to a page, and be taken there for this person, or for nobody."""
        page = page or self.page
        page.goto(f"{self.site.origin}{NOTE}")
        expect(page.locator("#who")).to_have_text(person.email if person else "nobody")

    def asked(self, path: str = REFRESH_BOUND) -> list[Answered]:
        return self.watch.answered(path)

    @property
    def proofs(self) -> list[int]:
        """The answers to signed refreshes, by status."""
        return [one.status for one in self.asked() if one.sent("Secure-Session-Response")]


def bound_sessions(site: Site, person: Person) -> list[str]:
    """The ids of the person's live sessions that are bound to a device."""
    found: list[str] = site.do(
        "from tokens.models import RefreshToken\n"
        "rows = RefreshToken.objects.filter(user__email=email, revoked_at=None)\n"
        "result = [str(row.id) for row in rows if row.bound_at]",
        email=person.email,
    )
    return found
