"""A rolling change of keys: two servers on one database are restarted in turn, and no user is signed out.

The servers are real processes, restarted with another environment at each step that the README describes. Meanwhile
two clients send requests to both, as behind a load balancer. One keeps cookies, and the server refreshes its session
when needed. The other sends its access token as a Bearer token and refreshes by itself, so a token that one of the
servers rejects is always noticed.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator
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
"""The lifetime of access tokens here, in seconds. Half of it is the still time, after which a refresh rotates."""
RENEWAL = 2.5
"""Seconds after which the client without cookies refreshes."""
OLD, NEW = (
    {"SECRET_KEY": f"the {age} secret of a test that is long enough to be a real one"} for age in ("old", "new")
)
TOKENS = {"TOKENS_ACCESS_LIFETIME": str(LIFETIME), "TOKENS_MODES": "cookie,body"}

Answer = tuple[int, Any, dict[str, str]]
"""Status, JSON and cookies of a response."""


class Fleet:
    """Two servers behind a load balancer. Each request of a client goes to the other server, unless that restarts."""

    def __init__(self, url: str, **environment: str) -> None:
        self._url = url
        self._lock = Lock()
        self._serving = [self._start(environment) for _ in range(2)]
        self._asked: Counter[str] = Counter()
        self._answered: Counter[tuple[int, str]] = Counter()
        """How many requests of each client a server has answered since its start, by the server's port."""

    def _start(self, environment: dict[str, str]) -> WebServer:
        return WebServer(self._url, **TOKENS, **environment)

    def roll(self, **environment: str) -> None:
        """Restart one server after the other, and wait until each has answered five requests of each client."""
        for leaving in list(self._serving):
            with self._lock:
                self._serving.remove(leaving)
            leaving.stop()
            coming = self._start(environment)
            with self._lock:
                self._serving.append(coming)
            deadline = time.monotonic() + 60
            while any(self._answered[coming.port, client] < 5 for client in list(self._asked)):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def ask(self, client: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send this client's request to the server whose turn it is."""
        with self._lock:
            self._asked[client] += 1
            server = self._serving[self._asked[client] % len(self._serving)]
            answer = _ask(server.port, method, path, body, headers)
            self._answered[server.port, client] += 1
        return answer

    def stop(self) -> None:
        for server in self._serving:
            server.stop()


class Visitor(Thread):
    """A client that requests ``/me`` again and again. ``failures``: the responses that were not as expected."""

    mode: str

    def __init__(self, fleet: Fleet, email: str) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.failures: list[str] = []
        self.headers: Counter[tuple[str, str]] = Counter()
        """How many access tokens this client was given, by algorithm and key."""
        self.requests = 0
        self._leaving = Event()
        body = {"email": email, "password": PASSWORD, "mode": self.mode, "remember": True}
        answer = self.ask("POST", "/api/auth/login", body)
        self.session = answer[1]["session"]["id"]
        self.keep(answer)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.fleet.ask(self.mode, method, path, body, **headers)

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

    def keep(self, answer: Answer) -> None:
        """Keep the tokens of a response."""
        raise NotImplementedError

    def visit(self) -> None:
        raise NotImplementedError


class WithCookies(Visitor):
    """A browser. It keeps every cookie that is set."""

    mode = "cookie"
    cookies: dict[str, str] = {}

    def keep(self, answer: Answer) -> None:
        self.cookies = self.cookies | answer[2]
        if ACCESS in answer[2]:
            self.saw(answer[2][ACCESS])

    def visit(self) -> None:
        answer = self.ask(
            "GET", "/api/auth/me", Cookie="; ".join(f"{key}={value}" for key, value in self.cookies.items())
        )
        self.keep(answer)
        self.check(answer)


class WithBearerToken(Visitor):
    """An app. It refreshes before its access token expires, so none of its requests may be rejected."""

    mode = "body"
    refresh = ""

    def keep(self, answer: Answer) -> None:
        status, data, _ = answer
        assert status == 200, data
        self.access, self.refresh = data["access_token"], data.get("refresh_token", self.refresh)
        self.renewed_at = time.monotonic()
        self.saw(self.access)

    def visit(self) -> None:
        if time.monotonic() - self.renewed_at > RENEWAL:
            self.keep(self.ask("POST", "/api/auth/refresh", {"refresh_token": self.refresh}))
        answer = self.ask("GET", "/api/auth/me", Authorization=f"Bearer {self.access}")
        # On a machine that was busy for seconds the token may have expired meanwhile, which is no failure.
        if answer[0] == 200 or time.monotonic() - self.renewed_at < LIFETIME - 1:
            self.check(answer)


def _ask(port: int, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Host": "testserver", "Content-Type": "application/json", **headers})
        response = connection.getresponse()
        given: SimpleCookie = SimpleCookie()
        for value in response.headers.get_all("Set-Cookie", []):
            given.load(value)
        cookies = {name: morsel.value for name, morsel in given.items()}
        assert not {ACCESS, REFRESH} & {name for name, value in cookies.items() if not value}, "signed out"
        return response.status, json.loads(response.read()), cookies
    finally:
        connection.close()


@contextmanager
def visited(**environment: str) -> Iterator[tuple[Fleet, list[Visitor]]]:
    """Start two servers with this environment, and two clients that keep sending requests."""
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


def assert_undisturbed(visitors: list[Visitor], algorithms: set[str], keys: int) -> None:
    """Hold the clients to having had no failure, and to having seen tokens of all these algorithms and keys."""
    for visitor in visitors:
        assert visitor.failures == []
        assert visitor.requests > 100
        assert ({alg for alg, _ in visitor.headers}, len(visitor.headers)) == (algorithms, keys)
    assert RefreshToken.objects.filter(revoked_at=None).count() == len(visitors)
    assert set(SecurityEvent.objects.values_list("kind", flat=True)) == {"signed_in", "new_device"}


@pytest.mark.exhaustive  # `tests.faults` tests the same with more clients.
@pytest.mark.only_on("postgresql")
def test_a_rolling_change_of_the_secret_signs_no_user_out():
    old, new = OLD["SECRET_KEY"], NEW["SECRET_KEY"]
    with visited(SECRET_KEY=old) as (fleet, visitors):
        fleet.roll(SECRET_KEY=old, SECRET_KEY_FALLBACKS=new)
        fleet.roll(SECRET_KEY=new, SECRET_KEY_FALLBACKS=old)
        time.sleep(LIFETIME)
        fleet.roll(SECRET_KEY=new)
        time.sleep(LIFETIME)
    assert_undisturbed(visitors, {"EdDSA"}, keys=2)
    assert all(visitor.headers.total() > 2 for visitor in visitors)


@pytest.mark.only_on("postgresql")
def test_a_rolling_change_of_keys_and_of_their_algorithm_signs_no_user_out(tmp_path):
    """From the derived key to a key in a file with another algorithm, and from there to a third one."""
    es256, rs256 = (str(tmp_path / f"{name}.pem") for name in ("es256", "rs256"))
    Path(es256).write_text(pem("ES256"))
    Path(rs256).write_text(pem("RS256"))
    with visited(**OLD) as (fleet, visitors):
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"derived,{es256}")
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{es256},derived", TOKENS_ALGORITHM="ES256")
        time.sleep(LIFETIME)
        # One step removes the key that is no longer needed and adds the next one.
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{es256},{rs256}", TOKENS_ALGORITHM="ES256")
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=f"{rs256},{es256}", TOKENS_ALGORITHM="RS256")
        time.sleep(LIFETIME)
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=rs256, TOKENS_ALGORITHM="RS256")
        time.sleep(LIFETIME)
    assert_undisturbed(visitors, {"EdDSA", "ES256", "RS256"}, keys=3)


@pytest.mark.only_on("sqlite")
def test_the_client_without_cookies_notices_if_the_first_step_is_skipped(tmp_path):
    """A control: a server that does not have a key rejects its tokens, and these tests notice it."""
    path = tmp_path / "key.pem"
    path.write_text(pem("EdDSA"))
    with visited(**OLD) as (fleet, visitors):
        fleet.roll(**OLD, TOKENS_SIGNING_KEYS=str(path))
        time.sleep(RENEWAL)
    with_cookies, without = visitors
    assert any("not_authenticated" in failure for failure in without.failures), without.failures
    # Refresh tokens have other keys. The browser's session is refreshed instead, and its user notices nothing.
    assert with_cookies.failures == []
