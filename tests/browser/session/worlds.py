"""Sites with an app in each storage mode, and tabs that use the session client there."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.browser.sites import Person, Site
from tests.browser.steps import ACCESS
from tests.browser.watching import Answered, Watch


@dataclass
class World:
    """``auth``: the site with the auth API. ``app``: the site with the app, another one only in mode ``subdomain``.

    ``binds``: sessions of this mode are bound to their device. Then the browser refreshes them, and they have no
    refresh token.
    """

    mode: str
    auth: Site
    app: Site
    binds: bool = field(init=False)
    _watches: list[Watch] = field(init=False)

    def __post_init__(self) -> None:
        self._sites = [self.auth] if self.app is self.auth else [self.auth, self.app]
        self._watches = [Watch(site) for site in self._sites]
        self.binds = self.mode in {"cookie", "scoped"} and self.auth.binds

    @property
    def api(self) -> str:
        return "/api/auth/" if self.app is self.auth else f"{self.auth.origin}/api/auth/"

    def forward(self, seconds: float) -> None:
        """Move the clocks of the servers forward. The browser's clock does not move."""
        for site in self._sites:
            site.forward(seconds)

    def forget(self) -> None:
        for watch in self._watches:
            watch.forget()

    def answered(self, path: str = "", method: str = "") -> list[Answered]:
        """Return the requests answered since the test began, or since `forget`. See `Watch.answered`."""
        return [one for watch in self._watches for one in watch.answered(path, method)]

    @property
    def refreshes(self) -> list[int]:
        """The statuses of the answers to refreshes at the endpoint.

        If the session is bound, a stale access cookie is deleted by a redirect to the same URL, which does not count:
        on the way the browser refreshes.
        """
        statuses = [one.status for one in self.answered("/api/auth/refresh")]
        return [status for status in statuses if not (self.binds and status == 307)]

    def generation(self, person: Person) -> int:
        """Return how often the user's only live session has been rotated. The first proof of the key does not count."""
        (row,) = [row for row in self.auth.sessions(person) if not row["revoked_reason"]]
        return row["generation"] - (row["bound_at"] is not None)

    def slow_refreshes(self) -> Any:
        """Let the refresh endpoint take a second during a block: other tabs have time to send their own refresh."""
        return self.auth.replaced(
            "post",
            "import time\n"
            "from tokens.api.views import Refresh as owner\n"
            "def new(self, request): time.sleep(1); return new.old(self, request)",
        )

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let the auth site accept connections but not answer, by stopping its process.

        In mode ``body`` it serves the app too, whose 401 makes the worker refresh: there only refreshes get no answer.
        """
        if self.mode == "body":
            self.auth.hold_answers("/api/auth/refresh")
        else:
            self.auth._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self.mode == "body":
                self.auth.deliver()
            else:
                self.auth._process.send_signal(signal.SIGCONT)

    def tab(self, context: BrowserContext, **options: Any) -> "Tab":
        page = context.new_page()
        page.goto(f"{self.app.origin}/app")
        return Tab(self, page, **options)


_OPEN = """async (options) => {
    const { createSession } = await import(`${location.origin}/static/tokens/session.js`);
    globalThis.heard = [];
    globalThis.session = createSession(options);
    for (const kind of ["signin", "signout", "expire"]) {
        session.addEventListener(kind, () => heard.push([kind, session.user?.email ?? null]));
    }
}"""
_WAIT_FOR_LOCKS = """async () => {
    const isOurs = ({ name }) => name.startsWith("latchkey");
    for (let tries = 0; tries < 400; tries += 1) {
        const { held, pending } = await navigator.locks.query();
        if (CONDITION) return;
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error("no lock was taken, or one was not released");
}"""
_BEGIN = """([path, times]) => {
    const one = () => session.fetch(path).then((response) => response.status, (error) => error.name);
    globalThis.begun = Promise.all(Array.from({ length: times }, one));
}"""


class Tab:
    """A tab with a session client. After ``page`` has been loaded again, `open` must be called again."""

    def __init__(self, world: World, page: Page, **options: Any) -> None:
        self.world, self.page = world, page
        self._options = {"mode": world.mode, "api": world.api, **options}
        self.open()

    def open(self) -> None:
        self.page.evaluate(_OPEN, self._options)

    def reload(self) -> None:
        self.page.reload()
        self.open()

    def duplicate(self) -> "Tab":
        """Open another tab with the same address and a copy of the ``sessionStorage``, as the browser's menu does."""
        with self.page.expect_popup() as popup:
            self.page.evaluate("void window.open(location.href)")
        popup.value.wait_for_load_state()
        return Tab(self.world, popup.value, **self._options)

    def restore(self) -> str | None:
        return self.page.evaluate("session.restore().then((user) => user?.email ?? null)")

    def sign_in(self, person: Person, **more: Any) -> None:
        given = {"email": person.email, "password": person.password, **more}
        self.page.evaluate("(given) => session.signIn(given).then(() => {})", given)

    def wait_until_bound(self, person: Person) -> None:
        """Wait until the user's sessions are bound, if they are in this mode.

        The browser registers its key beside the next requests, and proves that it has the key. Without this a test
        would meet a bound session once, and at another time one that is not bound yet.
        """
        for _ in range(200 if self.world.binds else 0):
            rows = self.world.auth.sessions(person)
            if all(row["bound_at"] or row["revoked_reason"] for row in rows) and self._has_long_cookie():
                self.restore()  # The client learns when the new access token expires.
                return
            self.page.evaluate("fetch('/api/orders').then(({ status }) => status)")
            self.page.wait_for_timeout(50)
        assert not self.world.binds, "the browser has not bound the session"

    def _has_long_cookie(self) -> bool:
        """Return whether the browser has the cookie of a proof. That of a registration ends after a minute."""
        ends = [found["expires"] for found in self.page.context.cookies() if found["name"] == ACCESS]
        return any(end - time.time() > 120 for end in ends)

    def sign_out(self) -> None:
        self.page.evaluate("session.signOut()")

    def wait_for_lock(self) -> None:
        """Wait until a tab, or the worker, holds the lock with which it calls the auth API."""
        # Not with wait_for_function, which takes a promise for a true value.
        self.page.evaluate(_WAIT_FOR_LOCKS.replace("CONDITION", "held.some(isOurs)"))

    def wait_for_no_lock(self) -> None:
        """Wait until neither a tab nor the worker holds the lock, or waits for it."""
        self.page.evaluate(_WAIT_FOR_LOCKS.replace("CONDITION", "!held.concat(pending).some(isOurs)"))

    def end_pause(self) -> None:
        """Let the client send its next request now, as it does when the browser is online again."""
        self.page.evaluate("void dispatchEvent(new Event('online'))")

    @property
    def user(self) -> str | None:
        return self.page.evaluate("session.user?.email ?? null")

    @property
    def heard(self) -> list[list[str | None]]:
        """The events of the session, oldest first, each with the user's e-mail address."""
        return self.page.evaluate("heard")

    def wait_for(self, condition: str, **options: Any) -> None:
        """Wait until a JavaScript expression is true."""
        # Not by animation frames: a tab in the background has none.
        self.page.wait_for_function(f"() => ({condition})", polling=50, **options)

    def fetch(self, path: str = "/api/orders", times: int = 1) -> list[int]:
        """Send parallel requests, and return their statuses."""
        self.begin(path, times)
        return self.end()

    def begin(self, path: str = "/api/orders", times: int = 1) -> None:
        """Send parallel requests, and do not wait for the answers."""
        self.page.evaluate(_BEGIN, [path, times])

    def begin_asking(self) -> None:
        """Start to ask who is signed in, which may refresh. `end` then returns whether a user is.

        In mode ``body`` the worker asks the server only after a request has failed, because its clock has not moved.
        """
        by_request, by_question = "session.fetch('/api/orders').then(({ ok }) => ok)", "session.restore().then(Boolean)"
        self.page.evaluate(f"void (globalThis.begun = {by_request if self.world.mode == 'body' else by_question})")

    def end(self) -> Any:
        """Return the result of what was begun."""
        late = "new Promise((_, no) => setTimeout(no, 40_000, new Error('nothing came')))"
        return self.page.evaluate(f"() => Promise.race([begun, {late}])")
