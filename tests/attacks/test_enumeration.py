"""The throttles do not tell who has an account: whatever a stranger sends, an address without an account answers alike.

A request is a wrong password, a registration, a reset, a change to that address, or a wrong password of the stranger's
own account. They come from two networks, in two spellings of the address, with and without a device cookie.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from tests.accounts.steps import ask, seen
from tests.browsers import ACCESS, DEVICE, FIREFOX
from tests.factories import UserFactory
from tests.tokens.web_steps import signed_in_as

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.at_length_on("sqlite")]

LONGEST = 40
"""Requests of a sequence."""
NETWORKS = "192.0.2.1", "198.51.100.1"
GUESS, OWN = "login", "password/change"
PATHS = [GUESS] * 8 + ["register", "password/reset", "email/change", OWN]
"""Most requests are guesses. Otherwise few sequences would reach a limit."""


def full_width(address: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in address)


SPELLINGS = (str, str.upper, full_width, str.title)


@dataclass(frozen=True)
class Step:
    """A request. ``has_device``: whether it has the cookie of a device of the stranger's own account."""

    path: str
    network: str
    spelling: Any
    has_device: bool
    password: str


def sequences(count: int) -> list[list[Step]]:
    """Return random sequences of requests, the same ones each time."""
    found = []
    for seed in range(count):
        dice = Random(seed)  # noqa: S311
        spellings = dice.sample(SPELLINGS, 2)
        found.append(
            [
                Step(
                    dice.choice(PATHS),
                    dice.choice(NETWORKS),
                    dice.choice(spellings),
                    dice.random() < 0.3,
                    f"a password that is long enough {dice.randrange(3)}",
                )
                for _ in range(dice.randint(12, LONGEST))
            ]
        )
    return found


class Stranger:
    """Somebody with an account of their own, and the cookies of two browsers: one is signed in, one is not."""

    def __init__(self) -> None:
        self.user = UserFactory()
        self.signed_in, self.signed_out = ({}, {})
        for jar in (self.signed_in, self.signed_out):
            browser = signed_in_as(self.user)
            jar.update({name: browser.cookies[name].value for name in (ACCESS, DEVICE)})

    def send(self, step: Step, address: str) -> Any:
        """Send the request about this address, and return all that can be seen of the response."""
        browser = Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=step.network)
        if step.path in {"email/change", OWN}:
            browser.cookies.load(self.signed_in)
        elif step.has_device:
            browser.cookies[DEVICE] = self.signed_out[DEVICE]
        email = step.spelling(address)
        data = {
            OWN: {"current_password": "wrong", "new_password": step.password},
            "password/reset": {"email": email},
            "email/change": {"email": email},
        }.get(step.path, {"email": email, "password": step.password})
        return seen(ask(browser, step.path, data))


@pytest.fixture
def answers(throttled: Any, clock: Any) -> Any:
    """Sends a sequence about one address, beginning with empty counters, and returns what a stranger sees.

    The clock stands still. Otherwise the seconds in Retry-After would differ.
    """

    def send_all(steps: list[Step], address: str) -> list[Any]:
        stranger = Stranger()
        cache.clear()
        return [stranger.send(step, address) for step in steps]

    return send_all


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.exhaustive)], ids=["a few", "many"])
def test_no_sequence_of_requests_tells_whether_an_address_has_an_account(answers, count):
    throttled = 0
    for number, steps in enumerate(sequences(count)):
        known, unknown = f"ada{number}@example.org", f"eve{number}@example.org"
        UserFactory(email=known)
        assert not User.objects.filter(email=unknown).exists()
        with_account, without = answers(steps, known), answers(steps, unknown)
        for place, (one, other) in enumerate(zip(with_account, without, strict=True)):
            assert one == other, (number, [step.path for step in steps[: place + 1]], steps[place])
        throttled += any(status == 429 for status, *_ in with_account)
    assert throttled >= count / 3, "Too few sequences reach a limit."


REPORTED = {
    "a full-width spelling, then the plain one": [(GUESS, full_width)] * 10 + [(GUESS, str)],
    "wrong passwords until the limit, a registration, and one more": [
        *([(GUESS, str)] * 11),
        *(("register", str), (GUESS, str)),
    ],
}


@pytest.mark.parametrize("requests", REPORTED.values(), ids=REPORTED)
def test_a_reported_sequence_does_not_tell_either(answers, requests):
    steps = [Step(path, NETWORKS[0], spelling, False, "a long enough password") for path, spelling in requests]
    UserFactory(email="ada@example.org")
    found = answers(steps, "ada@example.org")
    assert found == answers(steps, "eve@example.org")
    assert found[-1][0] == 429
