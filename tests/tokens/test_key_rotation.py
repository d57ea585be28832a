"""A rolling change of keys: two servers on one database, restarted in turn, and nobody is signed out.

Nothing is simulated: the servers are processes, restarted with another environment at each step of the README, while
people go from one to the other as behind a load balancer. One keeps cookies, and is refreshed unseen. The other sends
its access token as a Bearer token and renews it itself, so nothing hides a token that one of the servers refuses.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest
from django.db import connections

from tests.browsers import ACCESS, REFRESH
from tests.factories import PASSWORD, UserFactory
from tests.tokens.pems import pem
from tests.tokens.service.processes import WebServer, url_of
from tokens.models import RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db(transaction=True)

LIFETIME = 4
"""Seconds that access tokens live here. Half of it is the still time, after which a refresh rotates."""
RENEWAL = 2.5
"""Seconds after which the client without cookies renews its access token."""
OLD, NEW = (
    {"SECRET_KEY": f"the {age} secret of a test that is long enough to be a real one"} for age in ("old", "new")
)
TOKENS = {"TOKENS_ACCESS_LIFETIME": str(LIFETIME), "TOKENS_MODES": "cookie,body"}

Answer = tuple[int, Any, dict[str, str]]


class Fleet:
    """Two servers behind a balancer that sends a visitor's next request to the other one, if that is not restarting."""

    def __init__(self, url: str, **environment: str) -> None:
        self._url = url
        self._lock = Lock()
        self._serving = [self._start(environment) for _ in range(2)]
        self._asked: Counter[str] = Counter()
        self._answered: Counter[tuple[int, str]] = Counter()
        """How many requests of each visitor a server has answered since its start, by its port."""

    def _start(self, environment: dict[str, str]) -> WebServer:
        return WebServer(self._url, **TOKENS, **environment)

    def roll(self, **environment: str) -> None:
        """Restart one server after the other with this environment; each has to answer a while beside the other."""
        for leaving in list(self._serving):
            with self._lock:
                self._serving.remove(leaving)
            leaving.stop()
            coming = self._start(environment)
            with self._lock:
                self._serving.append(coming)
            self._wait_until(lambda port=coming.port: all(self._answered[port, who] >= 5 for who in self._asked))  # type: ignore[misc]

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send this visitor's request to the server whose turn it is; return status, JSON and cookies."""
        with self._lock:
            self._asked[who] += 1
            server = self._serving[self._asked[who] % len(self._serving)]
            answer = _ask(server.port, method, path, body, headers)
            self._answered[server.port, who] += 1
        return answer

    def stop(self) -> None:
        for server in self._serving:
            server.stop()

    @staticmethod
    def _wait_until(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.02)


class Visitor(Thread):
    """Somebody who asks again and again who they are. ``failures``: what was not answered as it must be."""

    def __init__(self, fleet: Fleet, email: str, mode: str) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.failures: list[str] = []
        self.headers: Counter[tuple[str, str]] = Counter()
        """How many access tokens were seen, by algorithm and key."""
        self.requests = 0
        self._leaving = Event()
        body = {"email": email, "password": PASSWORD, "mode": mode, "remember": True}
        self.take(self.ask("POST", "/api/auth/login", body))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.fleet.ask(type(self).__name__, method, path, body, **headers)

    def run(self) -> None:
        while not self._leaving.wait(0.03):
            try:
                self.visit()
            except Exception as error:
                self.failures.append(repr(error))
            self.requests += 1

    def leave(self) -> None:
        self._leaving.set()
        self.join(60)

    def check(self, answer: Answer) -> None:
        status, data, _ = answer
        if status != 200 or data["session"]["id"] != self.session:
            self.failures.append(f"{status} {data}")

    def saw(self, access_token: str) -> None:
        header = json.loads(urlsafe_b64decode(access_token.partition(".")[0] + "=="))
        self.headers[header["alg"], header["kid"]] += 1

    def take(self, answer: Answer) -> None:
        raise NotImplementedError

    def visit(self) -> None:
        raise NotImplementedError


class WithCookies(Visitor):
    """A browser: whatever is set is kept."""

    def __init__(self, fleet: Fleet, email: str) -> None:
        self.cookies: dict[str, str] = {}
        super().__init__(fleet, email, "cookie")

    def take(self, answer: Answer) -> None:
        self.session = answer[1]["session"]["id"]
        self.keep(answer)

    def keep(self, answer: Answer) -> None:
        self.cookies |= answer[2]
        if ACCESS in answer[2]:
            self.saw(answer[2][ACCESS])

    def visit(self) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.ask("GET", "/api/auth/me", Cookie=cookies)
        self.keep(answer)
        self.check(answer)


class WithBearerToken(Visitor):
    """An app: renews its tokens in time, so that it must never be refused."""

    def __init__(self, fleet: Fleet, email: str) -> None:
        super().__init__(fleet, email, "body")

    def take(self, answer: Answer) -> None:
        status, data, _ = answer
        assert status == 200, data
        self.session = data["session"]["id"]
        self.access, self.refresh = data["access_token"], data.get("refresh_token", getattr(self, "refresh", ""))
        self.renewed_at = time.monotonic()
        self.saw(self.access)

    def visit(self) -> None:
        if time.monotonic() - self.renewed_at > RENEWAL:
            self.take(self.ask("POST", "/api/auth/refresh", {"refresh_token": self.refresh}))
        answer = self.ask("GET", "/api/auth/me", Authorization=f"Bearer {self.access}")
        # On a machine that stood still for seconds the token may just have expired, which is nobody's mistake.
        if answer[0] == 200 or time.monotonic() - self.renewed_at < LIFETIME - 1:
            self.check(answer)


@contextmanager
def visited(**environment: str) -> Iterator[tuple[Fleet, list[Visitor]]]:
    """Two servers with this environment, and two people who visit them all the time."""
    fleet = Fleet(url_of(connections["default"].settings_dict), **environment)
    visitors: list[Visitor] = []
    try:
        email = UserFactory().email
        for kind in (WithCookies, WithBearerToken):
            visitors.append(kind(fleet, email))
        for visitor in visitors:
            visitor.start()
        yield fleet, visitors
    finally:
        for visitor in visitors:
            visitor.leave()
        fleet.stop()


def assert_nobody_noticed(visitors: list[Visitor]) -> None:
    for visitor in visitors:
        assert visitor.failures == []
        assert visitor.requests > 100
    assert RefreshToken.objects.filter(revoked_at=None).count() == len(visitors)
    assert set(SecurityEvent.objects.values_list("kind", flat=True)) == {"signed_in", "new_device"}


@pytest.mark.exhaustive  # `tests.faults` has it too, with more people.
@pytest.mark.only_on("postgresql")
def test_a_rolling_change_of_the_secret_signs_nobody_out():
    old, new = OLD["SECRET_KEY"], NEW["SECRET_KEY"]
    with visited(SECRET_KEY=old) as (fleet, visitors):
        fleet.roll(SECRET_KEY=old, SECRET_KEY_FALLBACKS=new)
        fleet.roll(SECRET_KEY=new, SECRET_KEY_FALLBACKS=old)
        time.sleep(LIFETIME)
        fleet.roll(SECRET_KEY=new)
        time.sleep(LIFETIME)
    assert_nobody_noticed(visitors)
    for visitor in visitors:
        assert {alg for alg, _ in visitor.headers} == {"EdDSA"}
        assert len(visitor.headers) == 2  # Tokens of both secrets were about.
        assert visitor.headers.total() > 2


@pytest.mark.only_on("postgresql")
def test_a_rolling_change_of_keys_and_of_their_algorithm_signs_nobody_out(tmp_path):
    """From the derived key to one in a file, for another algorithm, and on to a third."""
    es256, rs256 = (str(tmp_path / f"{name}.pem") for name in ("es256", "rs256"))
    Path(es256).write_text(pem("ES256"))
    Path(rs256).write_text(pem("RS256"))
    with visited(**OLD) as (fleet, visitors):
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"derived,{es256}")
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{es256},derived", TOKENS_ALGORITHM="ES256")
        time.sleep(LIFETIME)
        # What is no longer needed goes, and what comes next is made known, in one step.
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{es256},{rs256}", TOKENS_ALGORITHM="ES256")
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{rs256},{es256}", TOKENS_ALGORITHM="RS256")
        time.sleep(LIFETIME)
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=rs256, TOKENS_ALGORITHM="RS256")
        time.sleep(LIFETIME)
    assert_nobody_noticed(visitors)
    for visitor in visitors:
        assert {alg for alg, _ in visitor.headers} == {"EdDSA", "ES256", "RS256"}
        assert len(visitor.headers) == 3


@pytest.mark.only_on("sqlite")
def test_whoever_skips_the_first_step_is_told_by_the_client_without_cookies(tmp_path):
    """The test's own test: a server that has not heard of a key refuses its tokens, and the visitors see it."""
    path = tmp_path / "key.pem"
    path.write_text(pem("EdDSA"))
    with visited(**OLD) as (fleet, visitors):
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=str(path))
        time.sleep(RENEWAL)
    with_cookies, without = visitors
    assert any("not_authenticated" in failure for failure in without.failures), without.failures
    # Refresh tokens have keys of their own: the browser is refreshed, and notices nothing even so.
    assert with_cookies.failures == []


def _ask(port: int, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Host": "testserver", "Content-Type": "application/json", **headers})
        response = connection.getresponse()
        given: SimpleCookie = SimpleCookie()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                given.load(value)
        cookies = {name: morsel.value for name, morsel in given.items()}
        assert not {ACCESS, REFRESH} & {name for name, value in cookies.items() if not value}, "signed out"
        return response.status, json.loads(response.read()), cookies
    finally:
        connection.close()
