"""A rolling change of signing keys: two servers on one database are restarted in turn, and no user is signed out.

A server is a value of ``TOKENS`` here, and each request reaches the next one, as behind a load balancer. `tests.faults`
restarts real servers, with another secret.
"""

from functools import cache
from typing import Any

import pytest
from django.test import Client

from tests.browsers import ACCESS, login, post
from tests.tokens.protocol.jws import opened
from tests.tokens.protocol.pems import pem
from tokens.conf import signing_keys
from tokens.models import RefreshToken, SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

VISITS = 2
"""The number of visits between two changes."""
STEPS: list[tuple[str, list[str], int]] = [
    # ALGORITHM, SIGNING_KEYS, and how many seconds pass before the next step, in which access tokens may expire
    ("EdDSA", ["derived", pem("ES256")], 0),
    ("ES256", [pem("ES256"), "derived"], 601),
    # One step removes the key that is no longer needed and adds the next one.
    ("ES256", [pem("ES256"), pem("RS256")], 0),
    ("RS256", [pem("RS256"), pem("ES256")], 601),
    ("RS256", [pem("RS256")], 601),
]


def server(algorithm: str, keys: list[str]) -> dict[str, Any]:
    return {"ALGORITHM": algorithm, "SIGNING_KEYS": keys, "MODES": ["cookie", "body"]}


class Fleet:
    """Two servers, and two clients that visit them.

    The server refreshes the session of the browser when needed. The app refreshes by itself and sends its access token
    as a Bearer token, so a token that one of the servers rejects is always noticed. ``seen``: the algorithms of all
    access tokens.
    """

    def __init__(self, user: Any, settings: Any, clock: Any) -> None:
        self._settings, self._clock, self._turn = settings, clock, 0
        self.serving = [server("EdDSA", ["derived"])] * 2
        self._browser, self.seen = Client(), set()
        self._go_to_the_next_server()
        answers = [login(client, user, mode=mode) for client, mode in ((self._browser, "cookie"), (Client(), "body"))]
        self._in_browser, self._in_app = (answer["session"]["id"] for answer in answers)
        self._token = answers[1]["refresh_token"]

    def visit(self) -> None:
        """Send an odd number of requests again and again, so that each of them reaches either server."""
        for _ in range(VISITS):
            for _ in range(2):
                self._ask(self._browser, self._in_browser)
                self._see(self._browser.cookies[ACCESS].value)
            self._go_to_the_next_server()
            answer = post(Client(), "/api/auth/refresh", {"refresh_token": self._token}).json()
            self._token = answer.get("refresh_token", self._token)
            self._see(answer["access_token"])
            for _ in range(2):
                self._ask(Client(headers={"Authorization": f"Bearer {answer['access_token']}"}), self._in_app)
            self._clock.forward(100)

    def roll(self, changed: dict[str, Any]) -> None:
        """Restart one server after the other. The clients visit after each step."""
        for _ in range(2):
            del self.serving[0]
            self.visit()
            self.serving.append(changed)
            self.visit()

    def _go_to_the_next_server(self) -> None:
        self._turn += 1
        self._settings.TOKENS = self.serving[self._turn % len(self.serving)]

    def _ask(self, client: Client, session_id: str) -> None:
        self._go_to_the_next_server()
        answer = client.get("/api/auth/me").json()
        assert answer.get("session", answer)["id"] == session_id

    def _see(self, access_token: str) -> None:
        self.seen.add(opened(access_token)[0]["alg"])


def test_a_rolling_change_of_keys_and_of_their_algorithm_signs_no_user_out(user, settings, clock, monkeypatch):
    monkeypatch.setattr(signing_keys, "load", cache(signing_keys.load))  # It takes long to read an RSA key.
    fleet = Fleet(user, settings, clock)
    fleet.visit()
    for algorithm, keys, seconds in STEPS:
        fleet.roll(server(algorithm, keys))
        clock.forward(seconds)
        fleet.visit()
    assert fleet.seen == {"EdDSA", "ES256", "RS256"}
    assert RefreshToken.objects.live().count() == 2
    assert set(SecurityEvent.objects.values_list("kind", flat=True)) == {"signed_in", "new_device"}
