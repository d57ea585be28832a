"""A rolling change of signing keys: two servers on one database are restarted in turn, and no user is signed out.

`tests.faults` changes the secret in the same way.

The servers are real processes, restarted with another environment at each step that the README describes. Two clients
send each of their requests to the next server, as behind a load balancer. One keeps cookies, and the server refreshes
its session when needed. The other sends its access token as a Bearer token and refreshes by itself, so a token that one
of the servers rejects is always noticed.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from json import dumps, loads
from typing import Any

import pytest
from django.db import connections

from tests.browsers import ACCESS, REFRESH
from tests.factories import PASSWORD, UserFactory
from tests.tokens.protocol.jws import opened
from tests.tokens.protocol.pems import pem
from tests.tokens.service.processes import WebServer, url_of
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

LIFETIME = 4
"""The lifetime of access tokens here, in seconds. Half of it is the still time, after which a refresh rotates."""
VISITS = 6
"""The number of visits of each client between two changes. Each server gets half of the requests."""
ENVIRONMENT = {
    "SECRET_KEY": "the secret of a test that is long enough to be a real one",
    "TOKENS_ACCESS_LIFETIME": str(LIFETIME),
    "TOKENS_MODES": "cookie,body",
}


class Client(ABC):
    """A client that signs in. ``seen``: the algorithm and the key of every access token that it was given."""

    mode: str

    def __init__(self, fleet: "Fleet", email: str) -> None:
        self.fleet = fleet
        self.turn = 0
        self.cookies: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        body = {"email": email, "password": PASSWORD, "mode": self.mode, "remember": True}
        self.session = self.ask("POST", "login", body)["session"]["id"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request to the server whose turn it is, keep the tokens of the response, and return its JSON."""
        self.turn += 1
        port = self.fleet.serving[self.turn % len(self.fleet.serving)].port
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            headers |= {"Host": "testserver", "Content-Type": "application/json"}
            connection.request(method, f"/api/auth/{path}", body and dumps(body), headers)
            response = connection.getresponse()
            data = loads(response.read())
        finally:
            connection.close()
        assert response.status == 200, data
        given: SimpleCookie = SimpleCookie()
        for value in response.headers.get_all("Set-Cookie", []):
            given.load(value)
        cookies = {name: morsel.value for name, morsel in given.items()}
        assert all(cookies.get(name, "kept") for name in (ACCESS, REFRESH)), "signed out"
        self.cookies |= cookies
        self.keep(data, cookies)
        return data

    def saw(self, access_token: str) -> None:
        header, _ = opened(access_token)
        self.seen.append((header["alg"], header["kid"]))

    @abstractmethod
    def keep(self, data: Any, cookies: dict[str, str]) -> None:
        """Keep the tokens of a response."""

    @abstractmethod
    def visit(self) -> None:
        """Send a request as this kind of client does."""


class WithCookies(Client):
    """A browser. It keeps every cookie that is set."""

    mode = "cookie"

    def keep(self, data: Any, cookies: dict[str, str]) -> None:
        if ACCESS in cookies:
            self.saw(cookies[ACCESS])

    def visit(self) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        assert self.ask("GET", "me", Cookie=cookies)["session"]["id"] == self.session


class WithBearerToken(Client):
    """An app. It refreshes at one server, presents the token to the other one, and then to the first.

    These are three requests, so at the next visit the other server makes the token.
    """

    mode = "body"
    refresh = ""

    def keep(self, data: Any, cookies: dict[str, str]) -> None:
        if "access_token" in data:
            self.access, self.refresh = data["access_token"], data.get("refresh_token", self.refresh)
            self.saw(self.access)

    def visit(self) -> None:
        self.ask("POST", "refresh", {"refresh_token": self.refresh})
        for _ in range(2):
            assert self.ask("GET", "me", Authorization=f"Bearer {self.access}")["session"]["id"] == self.session


class Fleet:
    """Two servers, and the clients that visit them."""

    def __init__(self, **environment: str) -> None:
        self._url = url_of(connections["default"].settings_dict)
        self.serving = [self.start(environment) for _ in range(2)]
        self.clients: list[Client] = []

    def start(self, environment: dict[str, str]) -> WebServer:
        return WebServer(self._url, **ENVIRONMENT | environment)

    def visit(self) -> None:
        for _ in range(VISITS):
            for client in self.clients:
                client.visit()

    def roll(self, **environment: str) -> None:
        """Restart one server after the other. The clients visit after each step."""
        for leaving in list(self.serving):
            self.serving.remove(leaving)
            leaving.stop()
            self.visit()
            self.serving.append(self.start(environment))
            self.visit()

    def wait(self) -> None:
        """Wait until every access token has expired, and let the clients visit."""
        time.sleep(LIFETIME)
        self.visit()


@contextmanager
def a_fleet(**environment: str) -> Iterator[Fleet]:
    """Start two servers with this environment, and let two clients sign in."""
    fleet = Fleet(**environment)
    try:
        email = UserFactory().email
        fleet.clients = [WithCookies(fleet, email), WithBearerToken(fleet, email)]
        fleet.visit()
        yield fleet
    finally:
        for server in fleet.serving:
            server.stop()


def assert_undisturbed(fleet: Fleet, algorithms: list[str]) -> None:
    """Hold the clients to having one session each, and to having received tokens of exactly these keys."""
    for client in fleet.clients:
        assert sorted(algorithm for algorithm, _ in set(client.seen)) == algorithms
    assert RefreshToken.objects.filter(revoked_at=None).count() == len(fleet.clients)
    assert set(SecurityEvent.objects.values_list("kind", flat=True)) == {"signed_in", "new_device"}


@pytest.mark.only_on("postgresql")
def test_a_rolling_change_of_keys_and_of_their_algorithm_signs_no_user_out(tmp_path):
    """From the derived key to a key in a file with another algorithm, and from there to a third one."""
    es256, rs256 = tmp_path / "es256.pem", tmp_path / "rs256.pem"
    es256.write_text(pem("ES256"))
    rs256.write_text(pem("RS256"))
    with a_fleet() as fleet:
        fleet.roll(TOKENS_SIGNING_KEYS=f"derived,{es256}")
        fleet.roll(TOKENS_SIGNING_KEYS=f"{es256},derived", TOKENS_ALGORITHM="ES256")
        fleet.wait()
        # One step removes the key that is no longer needed and adds the next one.
        fleet.roll(TOKENS_SIGNING_KEYS=f"{es256},{rs256}", TOKENS_ALGORITHM="ES256")
        fleet.roll(TOKENS_SIGNING_KEYS=f"{rs256},{es256}", TOKENS_ALGORITHM="RS256")
        fleet.wait()
        fleet.roll(TOKENS_SIGNING_KEYS=str(rs256), TOKENS_ALGORITHM="RS256")
        fleet.wait()
    assert_undisturbed(fleet, ["ES256", "EdDSA", "RS256"])
