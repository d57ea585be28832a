"""Simulated users who sign in, refresh and sign out all the time, and check what the site promises to each of them.

They keep the rules: a browser sends one request after the other and keeps the cookies that it receives. After a 503, or
when there is no response, it waits and sends the same request again. The site promises, whatever fails meanwhile:

- an outage signs no user out, and deletes none of their cookies;
- a session that was ended stays ended;
- every request is answered in time, and every error is a 503 or a 429 that says how long to wait.

`Load.broken` lists each promise that was not kept.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from threading import Event, Thread
from time import monotonic, sleep

from tests.browsers import ACCESS, DEVICE, REFRESH
from tests.clients.projects import Answer, Server
from tests.faults.site import AnySite
from tests.scale.cluster import SECONDS, wait_for
from tests.scale.people import SIGNED_OUT, Account, Browser
from tokens.models import RefreshToken

OURS = {ACCESS, REFRESH, DEVICE}
OUTAGES = {503, 429}
IN_TIME = 15
"""Seconds in which a request must be answered: the database's deadline, the wait for a sign-in, a worker's restart."""
FEW = 4
"""So many users leave some time of the processor to a process that is started meanwhile."""
PAUSE = 0.05, 0.25
"""The shortest and the longest pause of a user between two actions, in seconds."""


@dataclass
class Load:
    """All simulated users, and what they have seen. ``events``: each action, with the status of the response.

    ``pause``: the shortest and the longest pause of a user between two actions, in seconds. ``in_time``: seconds in
    which a request must be answered. ``seconds``: how long each request took. ``broken``: each promise that was not
    kept. ``lossy_from``: the time of `monotonic` since when commits may be lost. ``lost``: what was lost as expected.
    ``notes``: what the test has measured itself.
    """

    site: AnySite
    pause: tuple[float, float] = PAUSE
    in_time: float = IN_TIME
    users: list["User"] = field(default_factory=list)
    # Several threads append to these lists.
    events: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lossy_from: float = float("inf")
    lasted: float = 0.0
    is_over: bool = False

    @property
    def outages(self) -> int:
        """How many responses were a 503 or a 429."""
        return sum(event.endswith((" 503", " 429")) for event in list(self.events))

    def wait_for_an_outage(self) -> None:
        """Wait until one more response is a 503 or a 429."""
        before = self.outages
        wait_for(lambda: self.outages > before, "an outage")

    def wait_for_refreshes(self, count: int = 1) -> None:
        """Wait until so many more refreshes have succeeded."""
        before = self.events.count("refresh 200")
        wait_for(lambda: self.events.count("refresh 200") >= before + count, "refreshes")

    def wait_for_rounds(self, rounds: int) -> None:
        """Wait until every user has done so many more actions with each browser."""
        until = [(user, user.rounds + rounds) for user in self.users]
        wait_for(lambda: all(user.rounds >= count for user, count in until), "actions of all users")

    def wait_for_answers(self, count: int) -> None:
        """Wait for so many more responses of any kind. A user whose request is answered 503 repeats it."""
        before = len(self.events)
        wait_for(lambda: len(self.events) >= before + count, "answers")

    def __str__(self) -> str:
        counts = [f"{what}: {count}" for what, count in sorted(Counter(self.events + self.lost).items())]
        return f"{', '.join(self.notes + counts)}; {self.lasted:.0f} s; slowest: {max(self.seconds, default=0):.1f} s"


class User(Thread):
    """``may_be_ended``: whether the test ends sessions of this user."""

    def __init__(self, load: Load, servers: Sequence[Server], browsers: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.load, self.servers = load, servers
        self.account = new_account(load.site)
        self.browsers = [UserBrowser(self) for _ in range(browsers)]
        self.random = random.Random(seed)  # noqa: S311
        self.leaving = Event()
        self.rounds = 0
        self.may_be_ended = False

    def run(self) -> None:
        try:
            while not self.leaving.wait(self.random.uniform(*self.load.pause)):
                for browser in self.browsers:
                    browser.do_something()
                self.rounds += 1
        except Exception as error:
            self.load.broken.append(f"{type(error).__name__}: {error}")
            raise


class UserBrowser:
    """One browser of a user. ``ended``: copies of it from before each sign-out, and when that was."""

    def __init__(self, owner: User) -> None:
        self.owner, self.load = owner, owner.load
        self.browser = Browser(owner.load.site.origin)
        self.signed_in_at = float("-inf")
        self.sessions: list[str] = []
        self.ended: list[tuple[float, Browser]] = []

    @property
    def is_signed_in(self) -> bool:
        return REFRESH in self.browser.cookies

    def do_something(self) -> None:
        actions = (self.refresh, self.refresh_by_middleware, self.request, self.sign_out)
        action = self.owner.random.choices(actions, (45, 25, 25, 5))[0] if self.is_signed_in else self.sign_in
        action()

    def sign_in(self) -> None:
        account = self.owner.account
        answer = self._send("sign-in", lambda at: self.browser.try_to_sign_in(at, account))
        if answer and answer.status == 200:
            self.sessions.append(self.browser.session_id)
            self.signed_in_at = monotonic()

    def refresh(self) -> None:
        answer = self._send("refresh", self.browser.refresh)
        if answer and answer.status == 200 and answer.json()["session"]["id"] != self.browser.session_id:
            self.load.broken.append("refreshed into another session")

    def refresh_by_middleware(self) -> None:
        self.browser.cookies.pop(ACCESS, None)
        self._send("unseen refresh", self.browser.me)

    def request(self) -> None:
        self._send("request", self.browser.me)

    def sign_out(self) -> None:
        copy = self.browser.copy()
        answer = self._send("sign-out", lambda at: self.browser.post_json(at, "/api/auth/logout"), 204)
        if answer and answer.status == 204:
            self.ended.append((monotonic(), copy))
            if self.is_signed_in:
                self.load.broken.append("signed out, and the cookies are still there")

    def _send(self, what: str, send: Callable[[Server], Answer], expected: int = 200) -> Answer | None:
        """Send a request until the response is not an outage. Return None if there was none in all that time."""
        until = monotonic() + SECONDS
        while monotonic() < until and not self.load.is_over:
            answer = self._send_once(what, send)
            if answer is None:
                sleep(0.2)
            elif answer.status in OUTAGES:
                sleep(min(2.0, float(answer.headers.get("Retry-After", 0.5))))
            else:
                if answer.status == SIGNED_OUT and (what != "sign-in" or self.owner.may_be_ended):
                    self._note_signed_out(what, answer)
                elif answer.status != expected:
                    self.load.broken.append(f"{what}: {answer.status} {answer.text[:300]}")
                return answer
        self.load.broken.append(f"{what}: no answer but outages in {SECONDS} s")
        return None

    def _send_once(self, what: str, send: Callable[[Server], Answer]) -> Answer | None:
        before, began = dict(self.browser.cookies), monotonic()
        try:
            answer = send(self.owner.random.choice(self.owner.servers))
        except TimeoutError:
            self.load.broken.append(f"{what}: hangs")
            return None
        except (OSError, HTTPException):
            self.load.events.append(f"{what} unanswered")
            return None
        seconds = monotonic() - began
        self.load.seconds.append(seconds)
        self.load.events.append(f"{what} {answer.status}")
        if seconds > self.load.in_time:
            self.load.broken.append(f"{what}: answered {answer.status} after {seconds:.1f} s")
        if answer.status in OUTAGES or answer.status >= 500:
            if answer.status not in OUTAGES or not answer.headers.get("Retry-After", "").isdigit():
                self.load.broken.append(f"{what}: {answer.status} {answer.headers.items()} {answer.text[:300]}")
            # A 503 may set cookies: those of a session, or of a successor, that was written before the failure.
            if cleared := {name for name in OURS & answer.set.keys() if not answer.set[name].value}:
                self.load.broken.append(f"{what}: an outage clears {cleared}")
                self.browser.cookies = before
        return answer

    def _note_signed_out(self, what: str, answer: Answer) -> None:
        if self.owner.may_be_ended:
            self.load.events.append("ended, as was asked")
        elif self.signed_in_at > self.load.lossy_from:
            self.load.lost.append("lost logins")
        else:
            self.load.broken.append(f"{what}: signed out, {answer.text[:200]}, session {self.browser.session_id}")
        self.browser.cookies.clear()

    def settle(self) -> None:
        """Check the promises once more, now that everything works again."""
        if self.is_signed_in:
            self.refresh()
        for ended_at, copy in self.ended:
            status = patiently(partial(copy.refresh, self.owner.servers[0])).status
            if status == SIGNED_OUT:
                continue
            if ended_at > self.load.lossy_from:
                self.load.lost.append("lost sign-outs")
            else:
                self.load.broken.append(f"a session that was signed out came back: {status} {copy.session_id}")


class Theft:
    """An attacker's copy of a browser's cookies, two generations old: when it is presented, the session must end.

    ``served``: how often the attacker's refresh succeeded. Neither side deletes its cookies, whatever the response.
    """

    def __init__(self, site: AnySite, server: Server) -> None:
        self.server = server
        self.owner = sign_in(server, new_account(site))
        self.attacker, self.served = self.owner.copy(), 0
        for _ in range(2):
            assert self._present(self.owner) == 200
            hour_ago = "UPDATE tokens_refreshtoken SET since = since - interval '1 hour' WHERE id = %s"
            site.ask(hour_ago, self.owner.session_id)

    def _present(self, browser: Browser) -> int:
        return patiently(partial(_refreshed, browser, self.server)).status

    def try_it(self) -> None:
        """Let the attacker refresh during the fault."""
        with suppress(OSError, HTTPException):
            self.served += _refreshed(self.attacker, self.server).status == 200

    def is_over(self) -> bool:
        """Return whether the session ends for both now that both keep using it."""
        for _ in range(20):
            if SIGNED_OUT in (self._present(self.attacker), self._present(self.owner)):
                break
        return {self._present(self.attacker), self._present(self.owner)} == {SIGNED_OUT}


def _refreshed(browser: Browser, server: Server) -> Answer:
    before = dict(browser.cookies)
    answer = browser.refresh(server)
    if answer.status != 200:
        browser.cookies = before
    return answer


def patiently(send: Callable[[], Answer]) -> Answer:
    """Send a request until the response is not an outage."""

    def answered() -> Answer | None:
        try:
            answer = send()
        except (OSError, HTTPException):
            return None
        return None if answer.status in OUTAGES else answer

    found: Answer = wait_for(answered, "an answer")
    return found


def new_account(site: AnySite) -> Account:
    account = Account(site.origin)
    site.open_account(account.email, account.password)
    return account


def sign_in(server: Server, account: Account) -> Browser:
    """Return a new browser that is signed in."""
    browser = Browser(account.origin)
    answer = patiently(lambda: browser.try_to_sign_in(server, account))
    assert answer.status == 200, answer.text
    return browser


@contextmanager
def under_load(
    site: AnySite,
    *,
    users: int = 8,
    browsers: int = 2,
    servers: Sequence[Server] = (),
    lossy: bool = False,
    pause: tuple[float, float] = PAUSE,
    in_time: float = IN_TIME,
) -> Iterator[Load]:
    """Within, simulated users use the site. Afterwards check every promise.

    ``servers``: to which they send requests, if not to nginx. ``lossy``: whether the last commits may be lost.
    ``pause``: the shortest and the longest pause of a user. ``in_time``: after how long a request is answered. Both are
    in seconds.
    """
    load = Load(site, pause, in_time)
    asked = list(servers) or site.servers
    load.users = [User(load, asked, browsers, seed) for seed in range(users)]
    thefts = [Theft(site, asked[0]) for _ in range(3)]
    for user in load.users:
        user.start()
    try:
        load.wait_for_rounds(2)
        early, began = Thread(target=thefts[0].try_it, daemon=True), monotonic()
        early.start()
        yield load
        load.lasted = monotonic() - began
        load.wait_for_rounds(2)
        early.join(SECONDS)
    except BaseException:
        load.is_over = True
        raise
    finally:
        for user in load.users:
            user.leaving.set()
        for user in load.users:
            user.join(SECONDS)
    found = [browser for user in load.users for browser in user.browsers]
    for browser in found:
        browser.settle()
    assert load.broken == [], "\n".join(load.broken[:20])
    assert lossy or not load.lost
    false_alarms = site.ask(
        "SELECT count(*) FROM tokens_refreshtoken WHERE id = ANY(%s::uuid[]) AND revoked_reason = ANY(%s)",
        [session for browser in found for session in browser.sessions],
        [RefreshToken.Reason.REUSE.value, RefreshToken.Reason.RECOVERIES_EXHAUSTED.value],
    )
    assert false_alarms == 0, "a session was ended because two parties seemed to hold it"
    assert all(theft.is_over() for theft in thefts), "an attacker's session survives"
    assert lossy or not any(theft.served for theft in thefts), "an attacker's refresh succeeds"
