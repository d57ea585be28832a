"""Many people who sign in, refresh and sign out all the time, and hold the site to what it promises each of them.

They keep to the rules: a browser sends one request after the other, keeps what it is given, and when it is told 503, or
nothing at all, it waits and sends the same once more. What is promised to it, whatever breaks meanwhile:

- it is not signed out, nor is a cookie of its touched by an outage;
- what it ended stays ended;
- every request is answered in time, and every error is a 503, or a 429, which says how long to wait.

`Crowd.broken` lists each promise that was not kept.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from tests.browsers import ACCESS, DEVICE, REFRESH
from tests.clients.projects import Answer, Server
from tests.faults.site import Site, long_ago
from tests.scale.people import SIGNED_OUT, Browser

OURS = {ACCESS, REFRESH, DEVICE}
OUTAGES = {503, 429}
PASSWORD = "a password of somebody's"
IN_TIME = 15
"""Seconds in which a request has to be answered: a deadline of the database, a sign-in's turn, a worker's restart."""
OUTAGE = 60
"""Seconds after which an outage should be over."""
PAUSE = 0.05, 0.25
"""Seconds between what somebody does and what they do next."""


@dataclass
class Crowd:
    """``counts``: what was done, and how it was answered.

    ``lossy_from``: since when, by `monotonic`, commits are lost. ``lost``: what was lost of them, as it had to be.
    """

    site: Site
    everybody: list["Somebody"] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    lossy_from: float = float("inf")
    lost: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    is_over: bool = False
    _lock: Any = field(default_factory=Lock)

    def count(self, *what: Any) -> None:
        with self._lock:
            self.counts[" ".join(map(str, what))] += 1

    def complain(self, what: str) -> None:
        with self._lock:
            self.broken.append(what)

    def note_time(self, seconds: float) -> None:
        with self._lock:
            self.slowest = max(self.slowest, seconds)

    @property
    def outages(self) -> int:
        """How often somebody was told to come again."""
        return sum(count for what, count in self.counts.items() if what.split()[-1] in {"503", "429"})

    def wait_for_an_outage(self) -> None:
        """Wait until somebody more is told to come again."""
        before = self.outages
        wait_long_for(lambda: self.outages > before, "an outage")

    def wait_for_refreshes(self, count: int = 1) -> None:
        """Wait until so many more were answered."""
        before = self.counts["refresh 200"]
        wait_long_for(lambda: self.counts["refresh 200"] >= before + count, "refreshes")

    def wait_for_rounds(self, rounds: int) -> None:
        """Wait until each did something so often, with every browser."""
        until = [(somebody, somebody.rounds + rounds) for somebody in self.everybody]
        wait_long_for(lambda: all(somebody.rounds >= count for somebody, count in until), "people at work")

    def __str__(self) -> str:
        counts = [f"{what}: {count}" for what, count in sorted((self.counts + self.lost).items())]
        return f"{', '.join(counts)}; slowest: {self.slowest:.1f} s"


class Somebody(Thread):
    """``browsers``: each has a session of its own, or is about to. ``may_be_ended``: somebody else ends them."""

    def __init__(self, crowd: Crowd, servers: Sequence[Server], browsers: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.crowd, self.servers = crowd, servers
        self.email, self.password = f"somebody-{uuid4().hex[:12]}@app.test", PASSWORD
        crowd.site.open_account(self.email, self.password)
        self.browsers = [Visitor(self) for _ in range(browsers)]
        self.random = random.Random(seed)  # noqa: S311
        self.leaving = Event()
        self.rounds = 0
        self.may_be_ended = False

    def run(self) -> None:
        try:
            while not self.leaving.wait(self.random.uniform(*PAUSE)):
                for browser in self.browsers:
                    browser.do_something()
                self.rounds += 1
        except Exception as error:
            self.crowd.complain(f"{type(error).__name__}: {error}")
            raise


class Visitor:
    """One browser of somebody's. ``ended``: copies of what it held when it signed out, and when that was."""

    def __init__(self, owner: Somebody) -> None:
        self.owner, self.crowd = owner, owner.crowd
        self.browser = Browser(owner.crowd.site.origin)
        self.signed_in_at = float("-inf")
        self.sessions: list[str] = []
        self.ended: list[tuple[float, Browser]] = []

    @property
    def is_signed_in(self) -> bool:
        return REFRESH in self.browser.cookies

    def do_something(self) -> None:
        if not self.is_signed_in:
            self.sign_in()
            return
        what = self.owner.random.choices((self.refresh, self.visit, self.look, self.sign_out), (45, 25, 25, 5))[0]
        what()

    def sign_in(self) -> None:
        given = {"email": self.owner.email, "password": self.owner.password}
        answer = self._ask("sign-in", lambda at: self.browser.post_json(at, "/api/auth/login", given))
        if answer and answer.status == 200:
            self.browser.session_id = answer.json()["session"]["id"]
            self.sessions.append(self.browser.session_id)
            self.signed_in_at = monotonic()

    def refresh(self) -> None:
        """At the endpoint."""
        answer = self._ask("refresh", self.browser.refresh)
        if answer and answer.status == 200 and answer.json()["session"]["id"] != self.browser.session_id:
            self.crowd.complain("refreshed into another session")

    def visit(self) -> None:
        """Let the middleware refresh, unseen."""
        self.browser.cookies.pop(ACCESS, None)
        self._ask("unseen refresh", self.browser.me)

    def look(self) -> None:
        self._ask("request", self.browser.me)

    def sign_out(self) -> None:
        held = self.browser.copy()
        answer = self._ask("sign-out", lambda at: self.browser.post_json(at, "/api/auth/logout"), 204)
        if answer and answer.status == 204:
            self.ended.append((monotonic(), held))
            if self.is_signed_in:
                self.crowd.complain("signed out, and the cookies are still there")

    def _ask(self, what: str, send: Callable[[Server], Answer], expected: int = 200) -> Answer | None:
        """Send it until there is an answer which is not an outage; None where there was none in all that time."""
        until = monotonic() + OUTAGE
        while monotonic() < until and not self.crowd.is_over:
            answer = self._once(what, send)
            if answer is None:
                sleep(0.2)
            elif answer.status in OUTAGES:
                sleep(min(2.0, float(answer.headers.get("Retry-After", 0.5))))
            else:
                if answer.status == SIGNED_OUT and (what != "sign-in" or self.owner.may_be_ended):
                    self._is_signed_out(what, answer)
                elif answer.status != expected:
                    self.crowd.complain(f"{what}: {answer.status} {answer.text[:300]}")
                return answer
        self.crowd.complain(f"{what}: no answer but outages in {OUTAGE} s")
        return None

    def _once(self, what: str, send: Callable[[Server], Answer]) -> Answer | None:
        before, began = dict(self.browser.cookies), monotonic()
        try:
            answer = send(self.owner.random.choice(self.owner.servers))
        except TimeoutError:
            self.crowd.complain(f"{what}: hangs")
            return None
        except (OSError, HTTPException):
            self.crowd.count(what, "unanswered")
            return None
        seconds = monotonic() - began
        self.crowd.note_time(seconds)
        self.crowd.count(what, answer.status)
        if seconds > IN_TIME:
            self.crowd.complain(f"{what}: answered {answer.status} after {seconds:.1f} s")
        if answer.status in OUTAGES or answer.status >= 500:
            if answer.status not in OUTAGES or not answer.headers.get("Retry-After", "").isdigit():
                self.crowd.complain(f"{what}: {answer.status} {answer.headers.items()} {answer.text[:300]}")
            # What was written before it broke off may be set: that is a session, or a successor, which lives.
            if cleared := {name for name in OURS & answer.set.keys() if not answer.set[name].value}:
                self.crowd.complain(f"{what}: an outage clears {cleared}")
                self.browser.cookies = before
        return answer

    def _is_signed_out(self, what: str, answer: Answer) -> None:
        if self.owner.may_be_ended:
            self.crowd.count("ended, as was asked")
        elif self.signed_in_at > self.crowd.lossy_from:
            self.crowd.lost["lost logins"] += 1
        else:
            self.crowd.complain(f"{what}: signed out, {answer.text[:200]}, session {self.browser.session_id}")
        self.browser.cookies.clear()

    def settle(self) -> None:
        """Hold the site to its promises once more, now that everything works again."""
        if self.is_signed_in:
            self.refresh()
        for ended_at, held in self.ended:
            status = patiently(lambda held=held: held.refresh(self.owner.servers[0])).status  # type: ignore[misc]
            if status == SIGNED_OUT:
                continue
            if ended_at > self.crowd.lossy_from:
                self.crowd.lost["lost sign-outs"] += 1
            else:
                self.crowd.complain(f"a session that was signed out came back: {status} {held.session_id}")


class Theft:
    """A stolen copy of a browser's cookies, two generations old: whoever presents it is found out.

    ``served``: how often the thief was. Neither side lets go of what it holds, whatever it is told.
    """

    def __init__(self, site: Site, server: Server) -> None:
        self.site, self.server = site, server
        email = f"robbed-{uuid4().hex[:12]}@app.test"
        site.open_account(email, PASSWORD)
        self.owner = sign_in(site, server, email, PASSWORD)
        self.session_id = self.owner.session_id
        self.thief, self.served = self.owner.copy(), 0
        for _ in range(2):
            assert self._present(self.owner) == 200

    def _present(self, browser: Browser) -> int:
        long_ago(self.site, self.session_id)
        return patiently(lambda: _refreshed(browser, self.server)).status

    def try_it(self) -> None:
        """Let the thief come, in the middle of whatever happens."""
        with suppress(OSError, HTTPException):
            self.served += _refreshed(self.thief, self.server).status == 200

    def is_over(self) -> bool:
        """Whether the session ends now that both keep using it, for both."""
        for _ in range(20):
            if SIGNED_OUT in (self._present(self.thief), self._present(self.owner)):
                break
        return {self._present(self.thief), self._present(self.owner)} == {SIGNED_OUT}


def _refreshed(browser: Browser, server: Server) -> Answer:
    before = dict(browser.cookies)
    answer = browser.refresh(server)
    if answer.status != 200:
        browser.cookies = before
    return answer


def patiently(send: Callable[[], Answer]) -> Answer:
    """Send it until there is an answer that is not an outage."""

    def answered() -> Answer | None:
        try:
            answer = send()
        except (OSError, HTTPException):
            return None
        return None if answer.status in OUTAGES else answer

    found: Answer = wait_long_for(answered, "an answer")
    return found


def sign_in(site: Site, server: Server, email: str, password: str) -> Browser:
    """A new browser of somebody's."""
    browser = Browser(site.origin)
    given = {"email": email, "password": password}
    answer = patiently(lambda: browser.post_json(server, "/api/auth/login", given))
    assert answer.status == 200, answer.text
    browser.session_id = answer.json()["session"]["id"]
    return browser


@contextmanager
def at_work(
    site: Site, *, people: int = 8, browsers: int = 2, servers: Sequence[Server] = (), lossy: bool = False
) -> Iterator[Crowd]:
    """Let people be at work while something breaks, and for a while after; hold the site to every promise then.

    ``servers``: whom they ask, if not the site's own. ``lossy``: what was committed last may be lost.
    """
    crowd = Crowd(site)
    asked = list(servers) or site.servers
    crowd.everybody = [Somebody(crowd, asked, browsers, seed) for seed in range(people)]
    thefts = [Theft(site, asked[0]) for _ in range(3)]
    for somebody in crowd.everybody:
        somebody.start()
    try:
        crowd.wait_for_rounds(2)
        early, began = Thread(target=thefts[0].try_it, daemon=True), monotonic()
        early.start()
        yield crowd
        crowd.counts["seconds"] = int(monotonic() - began)
        crowd.wait_for_rounds(2)
        early.join(OUTAGE)
    except BaseException:
        crowd.is_over = True
        raise
    finally:
        for somebody in crowd.everybody:
            somebody.leaving.set()
        for somebody in crowd.everybody:
            somebody.join(OUTAGE)
    visitors = [visitor for somebody in crowd.everybody for visitor in somebody.browsers]
    for visitor in visitors:
        visitor.settle()
    assert crowd.broken == [], "\n".join(crowd.broken[:20])
    assert crowd.lost.total() == 0 or lossy
    assert _alarms(site, [id for visitor in visitors for id in visitor.sessions]) == 0, "a false alarm"
    assert all(theft.is_over() for theft in thefts), "a thief's session survives"
    assert lossy or not any(theft.served for theft in thefts), "a thief is served"


def _alarms(site: Site, session_ids: list[str]) -> int:
    """How many of these sessions were ended because two seemed to hold them."""
    found = site.ask(
        "SELECT count(*) FROM tokens_refreshtoken WHERE id = ANY(%s::uuid[])"
        " AND revoked_reason IN ('reuse', 'recoveries_exhausted')",
        session_ids,
    )
    return int(found)


def wait_long_for(happens: Callable[[], Any], what: str) -> Any:
    """As `wait_for`, but as patient as people are."""
    until = monotonic() + OUTAGE
    while monotonic() < until:
        if found := happens():
            return found
        sleep(0.1)
    raise AssertionError(f"{what}: nothing of it in {OUTAGE} s")
