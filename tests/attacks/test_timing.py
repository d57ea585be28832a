"""Whether the time that an answer takes tells if there is an account: a statistical test of CPU time.

Requests about an account and about none take turns, so that whatever the machine does besides hits both alike, and
only the CPU time of this very thread is counted. The question is not whether the two differ at all (they do, by what a
row more or less takes to read), but whether they differ by a good part of one password hash. It is answered by a
permutation test (Fisher, 1935) of "the slower side takes longer by more than that part": with the labels drawn anew,
how often is the difference as great? What chance brings about less than once in a thousand draws is called a leak. The
control is a sign-in that has one: the same test sees it.
"""

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.models import User
from tests.browsers import post
from tests.factories import UserFactory
from tokens.hashers import Argon2

pytestmark = pytest.mark.django_db

ROUNDS, DRAWS = 24, 2000
PART = 0.3
"""Of the time that one hash takes: a hash too many or too few is told well, a row more or less is not asked about."""
RARE = 0.001


class FirmArgon2(Argon2):
    """Some milliseconds, so that a hash more or less stands out from what else a request takes."""

    time_cost = 4
    memory_cost = 8192
    parallelism = 1


@pytest.fixture(autouse=True)
def _hashes_that_can_be_timed(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.FirmArgon2"]


def cpu_time(job: Callable[[], Any]) -> float:
    """Seconds of this thread."""
    before = time.thread_time()
    job()
    return time.thread_time() - before


def taken(known: Callable[[], Any], unknown: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """How long each took, asked in turns, in an order that chance decides."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side in random.sample((0, 1), 2):
            times[side].append(cpu_time((known, unknown)[side]))
    return times


def is_told_apart(known: list[float], unknown: list[float], tolerated: float) -> bool:
    """Whether one side takes longer by more than ``tolerated`` seconds, beyond what chance could do."""
    slow, quick = sorted((known, unknown), key=median, reverse=True)
    slow = [seconds - tolerated for seconds in slow]
    observed = median(slow) - median(quick)
    if observed <= 0:
        return False
    both, as_great = [*slow, *quick], 0
    for _ in range(DRAWS):
        random.shuffle(both)
        as_great += median(both[: len(slow)]) - median(both[len(slow) :]) >= observed
    return (as_great + 1) / (DRAWS + 1) < RARE


def tolerated() -> float:
    return PART * median(cpu_time(lambda: make_password("a password")) for _ in range(9))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("login", {"password": "not this one"}),
        ("register", {"password": "a password that is good enough"}),
        ("password/reset", {}),
    ],
    ids=["sign-in", "register", "reset"],
)
def test_the_time_that_an_answer_takes_does_not_tell_of_an_account(user: Any, path: str, data: dict[str, str]) -> None:
    client = Client()
    strangers = iter(range(10**6))

    def ask(email: str) -> int:
        return int(post(client, f"/api/auth/{path}", {"email": email, **data}).status_code)

    def unknown() -> int:
        return ask(f"stranger{next(strangers)}@example.org")

    assert ask(user.email) == unknown()  # Both once, for what is loaded at first use.
    assert not is_told_apart(*taken(lambda: ask(user.email), unknown), tolerated())


def test_a_leak_would_be_seen(user: Any) -> None:
    """The control: a sign-in that hashes only where there is somebody, as many do."""

    def known() -> None:
        User.objects.get(email=user.email).check_password("not this one")

    def unknown() -> None:
        User.objects.filter(email="stranger@example.org").first()

    assert is_told_apart(*taken(known, unknown), tolerated())


def test_who_has_no_password_is_not_told_apart_either(user: Any) -> None:
    nobody = UserFactory()
    nobody.set_unusable_password()
    nobody.save()
    shut = UserFactory(is_active=False)
    client = Client()

    def ask(email: str) -> Callable[[], Any]:
        return lambda: post(client, "/api/auth/login", {"email": email, "password": "not this one"})

    ask(user.email)()
    for other in (nobody, shut):
        assert not is_told_apart(*taken(ask(user.email), ask(other.email)), tolerated())
