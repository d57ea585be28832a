"""Whether the time that an answer takes tells if there is an account: a statistical test of CPU time.

Requests about an account and about none take turns, and are compared turn by turn, so that whatever the machine does
besides hits both alike; and only the CPU time of this very thread is counted: no clock on the wall has a say. The
question is not whether the two differ at all (they do, by what a row more or less takes to read), but whether they
differ by a good part of what could be done for one and not for the other: a password hash, or the writing of a mail.
That is timed in the same turns. It is answered by a signed-rank test (Wilcoxon, 1945) of "the slower side takes longer
by more than that part": with the signs drawn anew, how often do the turns speak for it as clearly? What chance brings
about less than once in a thousand draws is called a leak. The controls are the same requests with such a leak: the same
test sees it.

What the database does is not this thread's time; that it is asked the same for both, other tests say.
"""

import random
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from accounts import mail
from accounts.links import Purpose
from accounts.models import User
from tests.browsers import login, post
from tests.factories import UserFactory
from tokens.hashers import Argon2

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("sqlite")]

DRAWS = 2000
RARE, CLEARLY_NOT = 0.001, 0.5
Job = Callable[[], Any]


class FirmArgon2(Argon2):
    """Some milliseconds, so that a hash more or less stands out from what else a request takes."""

    time_cost = 2
    memory_cost = 8192
    parallelism = 1


def a_hash() -> None:
    make_password("a password")


def a_mail() -> None:
    nobody = User(email="nobody@example.org", password="")
    mail.compose_with_link("reset_password", nobody.email, Purpose.PASSWORD_RESET, nobody)


ROUNDS, LOOKS = 16, 6
PART = 0.3
"""Of the time that a hash or a mail takes: one too many or too few is told well, a row more is not asked about."""
ASKED = ROUNDS * LOOKS + 2
MAILS = 15
WRONG, GOOD = "not this one", "a password that is good enough"
DOORS: dict[str, tuple[Job, str, dict[str, str]]] = {
    "sign-in": (a_hash, "/api/auth/login", {"email": "{}", "password": WRONG}),
    "the page to sign in": (a_hash, "/sign-in", {"username": "{}", "password": WRONG}),
    "the admin's": (a_hash, "/admin/login/", {"username": "{}", "password": WRONG}),
    "register": (a_hash, "/api/auth/register", {"email": "{}", "password": GOOD}),
    "the page to register": (a_hash, "/register", {"email": "{}", "password1": GOOD, "password2": GOOD}),
    "reset": (a_mail, "/api/auth/password/reset", {"email": "{}"}),
    "the page to reset": (a_mail, "/password/reset", {"email": "{}"}),
    "another address": (a_mail, "/api/auth/email/change", {"email": "{}"}),
}


@pytest.fixture(autouse=True)
def _hashes_that_can_be_timed(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.FirmArgon2"]


@pytest.fixture(autouse=True)
def _mails_that_can_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing one takes a fraction of what else a request does, and so each is written over and over."""
    compose = mail.compose
    monkeypatch.setattr(mail, "compose", lambda *given, **more: [compose(*given, **more) for _ in range(MAILS)][-1])


@pytest.fixture(autouse=True)
def _mail_at_once() -> Iterator[None]:
    """Replaces the one for all attacks: mails are sent by other threads, as they are in real life."""
    yield
    for done in [mail._pool.submit(lambda: None) for _ in range(20)]:
        done.result()


def cpu_time(job: Job) -> float:
    """Seconds of this thread."""
    before = time.thread_time()
    job()
    return time.thread_time() - before


def taken(rounds: int, *jobs: Job) -> list[list[float]]:
    """How long each took, turn by turn, in an order that chance decides."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for which in random.sample(range(len(jobs)), len(jobs)):
            times[which].append(cpu_time(jobs[which]))
    return times


def by_chance(known: list[float], unknown: list[float], alone: list[float]) -> float:
    """How often chance alone would say as clearly that one side takes longer by more than `PART` of what is measured.

    The times of each turn are at the same place.
    """
    differences = [(one - other) / whole for one, other, whole in zip(known, unknown, alone, strict=True)]
    slower = 1 if median(differences) > 0 else -1
    beyond = sorted((slower * difference - PART for difference in differences), key=abs)
    ranks = range(1, len(beyond) + 1)
    observed = sum(rank if found > 0 else -rank for rank, found in zip(ranks, beyond, strict=True))
    as_great = sum(sum(random.choice((-rank, rank)) for rank in ranks) >= observed for _ in range(DRAWS))  # noqa: S311
    return (as_great + 1) / (DRAWS + 1)


def leaks(known: Job, unknown: Job, measure: Job) -> bool:
    """Whether time tells the two apart, by the measure of what could be done for one of them alone.

    Where the machine is so busy that some turns say neither, more are taken.
    """
    for job in (known, unknown, measure):
        job()  # Once, for what is loaded at first use.
    times: list[list[float]] = [[], [], []]
    for _ in range(LOOKS):
        for found, more in zip(times, taken(ROUNDS, known, unknown, measure), strict=True):
            found += more
        chance = by_chance(*times)
        if chance < RARE or chance > CLEARLY_NOT:
            break
    return chance < RARE


Ask = Callable[[str], Job]


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, api: Client) -> tuple[Job, Ask]:
    """What could be done for an account alone, and how to ask about an address at this door."""
    measure, path, data = DOORS[request.param]
    if path.endswith("change"):
        login(api, UserFactory())

    def ask(email: str) -> Job:
        given = {name: value.format(email) for name, value in data.items()}
        return lambda: post(api, path, given) if path.startswith("/api/") else api.post(path, given)

    return measure, ask


@pytest.fixture
def known(door: tuple[Job, Ask]) -> Job:
    """Asks about an account, another one each time: what is new to a process costs it more."""
    password = make_password(GOOD)
    confirmed = {"password": password, "email_confirmed_at": timezone.now()}
    people = [UserFactory.build(email=f"person{number:03}@example.org", **confirmed) for number in range(ASKED)]
    addresses = iter([user.email for user in User.objects.bulk_create(people)])
    return lambda: door[1](next(addresses))()


@pytest.fixture
def unknown(door: tuple[Job, Ask]) -> Job:
    """Asks about nobody, whose addresses look alike."""
    addresses = iter([f"nobody{number:03}@example.org" for number in range(ASKED)])
    return lambda: door[1](next(addresses))()


def test_the_time_that_an_answer_takes_does_not_tell_of_an_account(door, known, unknown):
    assert known().status_code == unknown().status_code
    assert not leaks(known, unknown, door[0])


def test_a_leak_would_be_seen(door, known, unknown):
    """The control: the same door, which does for an account what it would not do for a stranger."""
    assert leaks(lambda: (known(), door[0]()), unknown, door[0])


@pytest.mark.parametrize("kind", ["without a password", "switched off"])
def test_who_cannot_sign_in_is_not_told_apart_either(user, api, kind):
    other = UserFactory(password=None) if kind == "without a password" else UserFactory(is_active=False)

    def ask(email: str) -> Job:
        return lambda: post(api, "/api/auth/login", {"email": email, "password": WRONG})

    assert not leaks(ask(user.email), ask(other.email), a_hash)
