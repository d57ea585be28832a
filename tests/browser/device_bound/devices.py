"""Browsers that keep a key, and what they report about the sessions that are bound to it."""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext

from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS, assert_user, cookie, sign_in
from tests.browser.watching import Answered, Watch

REGISTER, REFRESH_BOUND = "/api/auth/device/register", "/api/auth/device/refresh"

Event = dict[str, Any]


class Device:
    """A user's browser. ``events``: its reports about bound sessions, oldest first."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context, self.site = context, site
        self.events: list[Event] = []
        self.watch = Watch(site)
        # Events arrive in a separate tab, because the user's navigation would end the connection.
        self._listener = context.new_page()
        self._connection = context.new_cdp_session(self._listener)
        self._connection.on("Network.deviceBoundSessionEventOccurred", lambda event: self.events.append(event))
        self._connection.send("Network.enable")
        self._connection.send("Network.enableDeviceBoundSessions", {"enable": True})
        self.page = context.new_page()

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition returns a true value, and return it."""
        for _ in range(500):
            if found := condition():
                return found
            self._listener.wait_for_timeout(20)
        said = "\n".join(json.dumps(event) for event in self.events)
        seen = "\n".join(f"{one.method} {one.path} {one.status}" for one in self.watch.answered())
        raise AssertionError(f"{what} did not come\n{said}\n{seen}")

    def forget(self) -> None:
        """Forget all events and requests up to now."""
        self.events.clear()
        self.watch.forget()

    def happened(self, kind: str) -> list[Event]:
        """Return the events of a kind: ``creation``, ``refresh``, ``termination`` or ``challenge``."""
        return [event[f"{kind}EventDetails"] for event in self.events if f"{kind}EventDetails" in event]

    def wait_for_key(self) -> None:
        """Wait until the browser has registered a key for the new session."""
        (created, *_) = self.wait_until(lambda: self.happened("creation"), "a registration")
        assert created["fetchResult"] == "Success", created

    def wait_for_refresh(self, result: str = "Refreshed") -> None:
        """Wait until the browser has tried to refresh a session, with this result."""

        def refreshed() -> list[Event]:
            return [one for one in self.happened("refresh") if one["refreshResult"] == result]

        self.wait_until(refreshed, f"a refresh ({result})")

    def wait_for_end(self) -> str:
        """Wait until the browser has deleted a session, and return the reason."""
        (ended, *_) = self.wait_until(lambda: self.happened("termination"), "the end of a session")
        return ended["deletionReason"]

    def expire(self) -> None:
        """Delete the access cookie, as the browser does after ten minutes."""
        assert cookie(self.context, ACCESS), "there is no access cookie"
        self._connection.send("Network.deleteCookies", {"name": ACCESS, "url": self.site.origin})
        assert cookie(self.context, ACCESS) is None

    def sign_in(self, person: Person, **options: Any) -> None:
        """Sign in by the form, and wait until the key is registered. It is not used yet."""
        sign_in(self.page, person, **options)
        self.wait_for_key()

    def bind(self, person: Person, **options: Any) -> None:
        """Sign in, and prove the possession of the key once, which binds the session to it."""
        self.sign_in(person, **options)
        self.prove(person)
        self.forget()

    def prove(self, person: Person) -> None:
        """Open a page. The browser sends its first proof beside it, unless it has done so before."""
        self.sees(person)
        self.wait_for_refresh()
        assert bound_sessions(self.site, person)

    def sees(self, person: Person | None) -> None:
        """Open a page, and check that it is shown to this user, or to nobody."""
        assert_user(self.page, person)

    def expires_and_sees(self, person: Person, times: int = 1) -> None:
        """Let the access cookie expire, and check that the user is still signed in."""
        for _ in range(times):
            self.expire()
            self.sees(person)

    def asked(self, path: str = REFRESH_BOUND) -> list[Answered]:
        return self.watch.answered(path)

    @property
    def proofs(self) -> list[int]:
        """The statuses of the answers to signed refreshes."""
        return [one.status for one in self.asked() if one.sent("Secure-Session-Response")]


def bound_sessions(site: Site, person: Person) -> list[str]:
    """Return the ids of the user's live sessions that are bound to a device."""
    return [row["id"] for row in site.sessions(person) if row["bound_at"] and not row["revoked_reason"]]
