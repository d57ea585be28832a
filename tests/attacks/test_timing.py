"""Whether the CPU time of a response shows if an account exists: a statistical test.

Requests about an existing account and requests about an unknown address take turns, and are compared turn by turn, so
other load on the machine affects both equally. Only the CPU time of this thread is measured, never elapsed time. The
two always differ a little, for example by the time to read one more row. The question is whether they differ by a
large part of what the server might do for only one of them: hash a password, or write a mail. The time for that is
measured in the same turns.

The answer comes from a signed-rank test (Wilcoxon, 1945) of the statement "the slower kind takes longer by more than
that part": the signs of the differences are drawn again at random, and the test counts how often the result supports
the statement at least as clearly. If that happens less than once in a thousand draws, it is a leak. As a control, the
same test must find a leak that is added on purpose.

The time that the database takes is not part of this thread's time. Other tests check that the queries are the same.
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

from accounts import delivery, mail
from accounts.links import Purpose, make
from accounts.models import User
from tests.browsers import login, post
from tests.factories import UserFactory
from tokens.hashers import Argon2

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("sqlite"), pytest.mark.long]

DRAWS = 2000
RARE, CLEARLY_NOT = 0.001, 0.9
Job = Callable[[], Any]


class FirmArgon2(Argon2):
    """Takes some milliseconds, so that one hash more or less is large compared to the rest of a request."""

    time_cost = 2
    memory_cost = 8192
    parallelism = 1


def a_hash() -> None:
    make_password("a password")


def a_mail() -> None:
    email = "nobody@example.org"
    mail.compose_with_link(
        "reset_password", email, Purpose.PASSWORD_RESET, make(Purpose.PASSWORD_RESET, "1"), email=email
    )


def two_mails() -> None:
    """What a change of the address writes: a mail to the new address and one to the old one."""
    a_mail()
    a_mail()


ROUNDS, LOOKS = 16, 6
PART = 0.3
"""The part of the time for a hash or a mail that counts as a leak. One hash more is far above it."""
ASKED = ROUNDS * LOOKS + 2
MAILS = 15
WRONG, GOOD = "not this one", "a password that is good enough"
ENDPOINTS: dict[str, tuple[Job, str, dict[str, str]]] = {
    "sign-in": (a_hash, "/api/auth/login", {"email": "{}", "password": WRONG}),
    "the page to sign in": (a_hash, "/sign-in", {"username": "{}", "password": WRONG}),
    "the admin's": (a_hash, "/admin/login/", {"username": "{}", "password": WRONG}),
    "register": (a_hash, "/api/auth/register", {"email": "{}", "password": GOOD}),
    "the page to register": (a_hash, "/register", {"email": "{}", "password1": GOOD, "password2": GOOD}),
    "reset": (a_mail, "/api/auth/password/reset", {"email": "{}"}),
    "the page to reset": (a_mail, "/password/reset", {"email": "{}"}),
    "another address": (two_mails, "/api/auth/email/change", {"email": "{}"}),
}
CONTROLS = {"sign-in", "the page to register", "the page to reset", "another address"}
"""The endpoints at which a leak is always added: one of each job, and pages, whose time differs most by chance."""


@pytest.fixture(autouse=True)
def _measurable_hashes(settings: Any) -> None:
    """Password hashes that take some milliseconds. The suite's usual ones are too cheap for a leak to be seen."""
    settings.PASSWORD_HASHERS = [f"{__name__}.FirmArgon2"]


@pytest.fixture(autouse=True)
def _measurable_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mail is written 15 times. One mail takes a small part of a request, so a leak would go unnoticed."""
    compose = mail.compose
    monkeypatch.setattr(mail, "compose", lambda *given, **more: [compose(*given, **more) for _ in range(MAILS)][-1])


@pytest.fixture(autouse=True)
def _mail_at_once() -> Iterator[None]:
    """Replaces the fixture of the same name: mails are sent by other threads, as in production.

    With synchronous mails the test would find a leak that production does not have.
    """
    yield
    for done in [delivery._pool.submit(lambda: None) for _ in range(20)]:
        done.result()


def cpu_time(job: Job) -> float:
    """Return the seconds of CPU time that this thread needs for a job."""
    before = time.thread_time()
    job()
    return time.thread_time() - before


def taken(rounds: int, *jobs: Job) -> list[list[float]]:
    """Return how long each job took in each turn. The order within a turn is random."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for which in random.sample(range(len(jobs)), len(jobs)):
            times[which].append(cpu_time(jobs[which]))
    return times


def by_chance(known: list[float], unknown: list[float], whole: list[float]) -> float:
    """Return the probability of so clear a difference between the two by chance.

    The difference counts from `PART` of the time for ``whole`` on. The times of one turn have the same index.
    """
    differences = [(one - other) / of for one, other, of in zip(known, unknown, whole, strict=True)]
    slower = 1 if median(differences) > 0 else -1
    beyond = sorted((slower * difference - PART for difference in differences), key=abs)
    ranks = range(1, len(beyond) + 1)
    observed = sum(rank if found > 0 else -rank for rank, found in zip(ranks, beyond, strict=True))
    as_great = sum(sum(random.choice((-rank, rank)) for rank in ranks) >= observed for _ in range(DRAWS))  # noqa: S311
    return (as_great + 1) / (DRAWS + 1)


def leaks(known: Job, unknown: Job, measure: Job) -> bool:
    """Return whether CPU time distinguishes the two jobs, by a large part of the time for ``measure``.

    On a busy machine the first turns may not decide the question. Then more turns are taken.
    """
    for job in (known, unknown, measure):
        job()  # The first call also loads modules.
    times: list[list[float]] = [[], [], []]
    for _ in range(LOOKS):
        for found, more in zip(times, taken(ROUNDS, known, unknown, measure), strict=True):
            found += more
        chance = by_chance(*times)
        if chance < RARE or chance > CLEARLY_NOT:
            break
    return chance < RARE


Ask = Callable[[str], Any]


@pytest.fixture(params=ENDPOINTS)
def endpoint(request: pytest.FixtureRequest, api: Client) -> tuple[Job, Ask]:
    """What might be done only for an existing account, and a function that sends a request about an address.

    An endpoint that is missing here could leak which accounts exist.
    """
    measure, path, data = ENDPOINTS[request.param]
    if path.endswith("change"):
        login(api, UserFactory())

    def ask(email: str) -> Any:
        given = {name: value.format(email) for name, value in data.items()}
        return post(api, path, given) if path.startswith("/api/") else api.post(path, given)

    return measure, ask


@pytest.fixture
def known(endpoint: tuple[Job, Ask]) -> Job:
    """A request about an existing account, a different one each time.

    What a process sees for the first time costs more, so requests about one account would become faster.
    """
    confirmed = {"password": make_password(GOOD), "email_confirmed_at": timezone.now()}
    users = [UserFactory.build(email=f"person{number:03}@example.org", **confirmed) for number in range(ASKED)]
    addresses = iter([user.email for user in User.objects.bulk_create(users)])
    return lambda: endpoint[1](next(addresses))


@pytest.fixture
def unknown(endpoint: tuple[Job, Ask]) -> Job:
    """A request about an address without an account.

    The addresses have the length of those in `known`. Otherwise the length could make the difference.
    """
    addresses = iter([f"nobody{number:03}@example.org" for number in range(ASKED)])
    return lambda: endpoint[1](next(addresses))


def test_the_time_that_an_answer_takes_does_not_tell_of_an_account(endpoint, known, unknown):
    assert known().status_code == unknown().status_code
    assert not leaks(known, unknown, endpoint[0])


@pytest.mark.parametrize(
    "endpoint",
    [name if name in CONTROLS else pytest.param(name, marks=pytest.mark.exhaustive) for name in ENDPOINTS],
    indirect=True,
)
def test_a_leak_would_be_found(endpoint, known, unknown):
    """The control: the same endpoint does something for an existing account that it does not do for another address."""
    assert leaks(lambda: (known(), endpoint[0]()), unknown, endpoint[0])


@pytest.mark.parametrize("account", [{"password": None}, {"is_active": False}], ids=["no password", "disabled"])
def test_the_time_does_not_show_that_an_account_cannot_sign_in(user, api, account):
    other = UserFactory(**account)

    def ask(email: str) -> Job:
        return lambda: post(api, "/api/auth/login", {"email": email, "password": WRONG})

    assert not leaks(ask(user.email), ask(other.email), a_hash)
