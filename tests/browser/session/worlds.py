"""Sites with an app of their own, in each storage mode, and what happens there."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.browser.sites import Person, Site
from tests.browser.watching import Answered, Watch


@dataclass
class World:
    """``auth``: where the auth API is. ``app``: where the app is, the same but in mode ``subdomain``."""

    mode: str
    auth: Site
    app: Site
    _watches: list[Watch] = field(init=False)

    def __post_init__(self) -> None:
        self._watches = [Watch(site) for site in self._sites]

    @property
    def _sites(self) -> list[Site]:
        return [self.auth] if self.app is self.auth else [self.auth, self.app]

    @property
    def api(self) -> str:
        return "/api/auth/" if self.app is self.auth else f"{self.auth.origin}/api/auth/"

    def forward(self, seconds: float) -> None:
        """Move the clocks of the servers on; the browser's stay."""
        for site in self._sites:
            site.forward(seconds)

    def forget(self) -> None:
        for watch in self._watches:
            watch.forget()

    def answered(self, path: str = "", method: str = "") -> list[Answered]:
        """What was answered since the test began, or `forget`; preflights apart, unless they are asked for."""
        return [one for watch in self._watches for one in watch.answered(path, method)]

    @property
    def refreshes(self) -> list[int]:
        """The answers to refreshes at the endpoint, by status."""
        return [one.status for one in self.answered("/api/auth/refresh")]

    def generation(self, person: Person) -> int:
        """How often the person's only live session has been rotated."""
        (row,) = [row for row in self.auth.sessions(person) if not row["revoked_reason"]]
        generation: int = row["generation"]
        return generation

    def end_sessions(self, person: Person) -> None:
        """End them from outside, as the admin does."""
        self.auth.do(
            "from tokens.models import RefreshToken\n"
            "from tokens.service.ending import end\n"
            "end(RefreshToken.objects.filter(user__email=email), RefreshToken.Reason.ENDED_BY_STAFF)",
            email=person.email,
        )

    @contextmanager
    def down(self) -> Iterator[None]:
        """The database cannot be asked for sessions: refreshes get 503 with Retry-After."""
        self.auth.do(
            "from django.db import OperationalError\n"
            "from tokens.models import RefreshTokenQuerySet as rows\n"
            "def down(self): raise OperationalError('down')\n"
            "rows.up, rows.for_decision = rows.for_decision, down"
        )
        try:
            yield
        finally:
            self.auth.do("from tokens.models import RefreshTokenQuerySet as rows; rows.for_decision = rows.up")

    @contextmanager
    def slow_refreshes(self, seconds: float = 1) -> Iterator[None]:
        """The refresh endpoint takes its time, so that whoever does not wait for another asks meanwhile."""
        self.auth.do(
            "import time\n"
            "from tokens.api.views import Refresh\n"
            "def slow(self, request): time.sleep(seconds); return self.quick(request)\n"
            "Refresh.quick, Refresh.post = Refresh.post, slow",
            seconds=seconds,
        )
        try:
            yield
        finally:
            self.auth.do("from tokens.api.views import Refresh; Refresh.post = Refresh.quick; del Refresh.quick")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """The auth site takes connections, and answers nobody: its process is stopped.

        In ``body`` mode it is the app's too, and the worker asks when the app has refused: refreshes alone hang.
        """
        if self.mode == "body":
            self.auth.hold_answers("/api/auth/refresh")
            try:
                yield
            finally:
                self.auth.deliver()
            return
        self.auth._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.auth._process.send_signal(signal.SIGCONT)

    def tab(self, context: BrowserContext, **options: Any) -> "Tab":
        page = context.new_page()
        page.goto(f"{self.app.origin}/app")
        return Tab(self, page, **options)


_OPEN = """async (options) => {
    const { createSession } = await import("/static/tokens/session.js");
    globalThis.heard = [];
    globalThis.session = createSession(options);
    for (const kind of ["signin", "signout", "expire"]) {
        session.addEventListener(kind, () => heard.push([kind, session.user?.email ?? null]));
    }
}"""


class Tab:
    """A tab with a session in it. ``page`` has left and come back where somebody calls `open` again."""

    def __init__(self, world: World, page: Page, **options: Any) -> None:
        self.world, self.page = world, page
        self._options = {"mode": world.mode, "api": world.api, **options}
        self.open()

    def open(self) -> None:
        self.page.evaluate(_OPEN, self._options)

    def duplicate(self) -> "Tab":
        """What the browser's menu does: another tab with the same address and a copy of the ``sessionStorage``."""
        with self.page.expect_popup() as popup:
            self.page.evaluate("void window.open(location.href)")
        popup.value.wait_for_load_state()
        return Tab(self.world, popup.value, **self._options)

    def restore(self) -> str | None:
        found: str | None = self.page.evaluate("session.restore().then((user) => user?.email ?? null)")
        return found

    def sign_in(self, person: Person, **more: Any) -> None:
        given = {"email": person.email, "password": person.password, **more}
        self.page.evaluate("(given) => session.signIn(given).then(() => {})", given)

    def wait_for_lock(self) -> None:
        """Wait until some tab, or the worker, is asking the auth API."""
        self._wait_for_locks("held.some(isOurs)")

    def wait_for_no_lock(self) -> None:
        """Wait until nobody is asking the auth API, or waits for that."""
        self._wait_for_locks("!held.concat(pending).some(isOurs)")

    def _wait_for_locks(self, condition: str) -> None:
        # Not by wait_for_function, which takes the promise for an answer.
        self.page.evaluate(
            "async () => { const isOurs = ({ name }) => name.startsWith('latchkey');"
            " for (let tries = 0; tries < 400; tries += 1) {"
            f" const {{ held, pending }} = await navigator.locks.query(); if ({condition}) return;"
            " await new Promise((resolve) => setTimeout(resolve, 25)); }"
            " throw new Error('nobody came, or nobody left'); }"
        )

    def sign_out(self) -> None:
        self.page.evaluate("session.signOut()")

    @property
    def user(self) -> str | None:
        found: str | None = self.page.evaluate("session.user?.email ?? null")
        return found

    @property
    def heard(self) -> list[list[str | None]]:
        found: list[list[str | None]] = self.page.evaluate("heard")
        return found

    def wait_for(self, condition: str, **options: Any) -> None:
        """Wait until a JavaScript expression is true."""
        # Not by animation frames, which a tab behind another has none of.
        self.page.wait_for_function(f"() => ({condition})", polling=50, **options)

    def fetch(self, path: str = "/api/orders", times: int = 1) -> list[int]:
        """The statuses of so many parallel requests."""
        self.begin(path, times)
        return self.end()

    def begin(self, path: str = "/api/orders", times: int = 1) -> None:
        """Send the requests, and do not wait for what comes."""
        self.page.evaluate(
            "([path, times]) => {"
            "  const one = () => session.fetch(path).then((response) => response.status, (error) => error.name);"
            "  globalThis.begun = Promise.all(Array.from({ length: times }, one));"
            "}",
            [path, times],
        )

    def end(self) -> Any:
        """What came of what was begun."""
        return self.page.evaluate(
            "() => Promise.race([begun, new Promise((_, no) => setTimeout(no, 40_000, new Error('nothing came')))])"
        )

    def begin_asking(self) -> None:
        """Ask who is signed in, which may refresh, and do not wait for it; `end` then says whether somebody is.

        In ``body`` mode only a request that is refused makes the worker ask, whose clock has not moved.
        """
        ask = (
            "session.fetch('/api/orders').then(({ ok }) => ok)"
            if self.world.mode == "body"
            else "session.restore().then(Boolean)"
        )
        self.page.evaluate(f"void (globalThis.begun = {ask})")
