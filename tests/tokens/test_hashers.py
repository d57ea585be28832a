"""Hashing in turns: how many at a time, what whoever comes then is told by each door, and what goes on meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from argon2.exceptions import HashingError
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.links import Purpose, make
from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, ask, events, seen, statements
from tests.browsers import ACCESS, FIREFOX, AsyncBrowser, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.hashers import CheapArgon2
from tokens import hashers
from tokens.hashers import PBKDF2, Busy, Scrypt, Turns, turns
from tokens.models import SecurityEvent

HTML = {"Accept": "text/html"}
STRANGER = "stranger@example.org"
LONG = 600.0
"""Seconds: longer than a test lasts."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits: who has no turn at once is refused."""
    monkeypatch.setattr(hashers, "PATIENCE", 0)


@pytest.fixture
def taken(impatient: None, settings: Any) -> Callable[[], Any]:
    """Takes the only turn, as one who signs in does for a tenth of a second."""
    settings.TOKENS = {"MAX_HASHINGS": 1}
    return lambda: turns().turn()


@pytest.fixture(params=[Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def browser(request: pytest.FixtureRequest) -> Client:
    """A browser at either kind of server; an exception that nobody answers fails the test."""
    client: Client = request.param(headers={"User-Agent": FIREFOX})
    return client


def may_have_a_turn(number: int) -> bool:
    """Whether so many may have their turn at a time, in this thread."""
    with ExitStack() as stack:
        try:
            for _ in range(number):
                stack.enter_context(turns().turn())
        except Busy:
            return False
    return True


# Turns


@pytest.mark.parametrize(("cores", "size"), [(None, 1), (1, 1), (2, 1), (5, 2), (16, 8)])
def test_half_of_the_cores_hash_at_a_time(cores, size, impatient, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert may_have_a_turn(size)
    assert not may_have_a_turn(size + 1)


def test_the_setting_says_how_many(impatient, settings):
    for size in (3, 1):
        settings.TOKENS = {"MAX_HASHINGS": size}
        assert may_have_a_turn(size)
        assert not may_have_a_turn(size + 1)


def test_as_many_more_wait_and_the_others_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(hashers, "PATIENCE", LONG)
    ours, answers = Turns(2), SimpleQueue[str]()

    def come() -> None:
        try:
            with ours.turn():
                answers.put("had a turn")
        except Busy:
            answers.put("refused")

    with ours.turn(), ours.turn():
        crowd = [Thread(target=come) for _ in range(5)]
        for one in crowd:
            one.start()
        assert [answers.get() for _ in range(3)] == ["refused"] * 3
    for one in crowd:
        one.join()
    assert [answers.get() for _ in range(2)] == ["had a turn"] * 2
    assert answers.empty()


def test_whoever_waited_too_long_makes_room_for_the_next(impatient):
    ours = Turns(1)
    for _ in range(3):
        with ours.turn(), pytest.raises(Busy), ours.turn():
            pass
    with ours.turn():
        pass


@pytest.mark.parametrize("hasher", [CheapArgon2(), PBKDF2(), Scrypt()], ids=lambda hasher: hasher.algorithm)
def test_every_algorithm_takes_its_turn_and_gives_it_back(hasher, taken):
    encoded = hasher.encode(PASSWORD, hasher.salt())
    assert hasher.verify(PASSWORD, encoded)
    assert not hasher.verify("another", encoded)
    with pytest.raises((HashingError, ValueError)):
        hasher.encode(PASSWORD, "")
    with taken():
        with pytest.raises(Busy):
            hasher.encode(PASSWORD, hasher.salt())
        with pytest.raises(Busy):
            hasher.verify(PASSWORD, encoded)
    assert hasher.verify(PASSWORD, encoded)


# What a client is told


def is_told_to_come_back(response: Any) -> None:
    assert response.status_code == 503
    assert response["Retry-After"] == "2"
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies, "No cookie is set, and none is cleared."


def api_doors(user: Any) -> Iterator[tuple[str, dict[str, str]]]:
    yield "login", {"email": user.email, "password": PASSWORD}
    yield "reauthenticate", {"password": PASSWORD}
    yield "register", {"email": STRANGER, "password": NEW_PASSWORD}
    yield "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    user.refresh_from_db()
    yield "password/reset/confirm", {"token": make(Purpose.PASSWORD_RESET, user), "password": NEW_PASSWORD}


def page_doors(user: Any) -> Iterator[tuple[str, dict[str, str]]]:
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    yield "/sign-in", {"username": user.email, "password": PASSWORD}
    yield "/sign-in/again", {"current_password": PASSWORD}
    yield "/admin/login/", {"username": user.email, "password": PASSWORD}
    yield "/register", {"email": STRANGER, **new}
    yield "/password/change", {"current_password": PASSWORD, **new}
    user.refresh_from_db()
    yield "/password/reset/confirm", {"token": make(Purpose.PASSWORD_RESET, user), **new}


@pytest.mark.django_db
def test_every_door_of_the_api_says_when_to_come_back(browser, taken):
    user = UserFactory()
    login(browser, user)
    for path, given in api_doors(user):
        with taken():
            response = ask(browser, path, given)
        is_told_to_come_back(response)
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "unavailable"
    with taken():
        assert browser.get("/api/auth/me").status_code == 200
    for path, given in api_doors(user):
        assert ask(browser, path, given).status_code < 300, path


@pytest.mark.django_db
def test_every_page_says_so(browser, taken):
    user = AdminFactory()
    login(browser, user)
    for path, given in page_doors(user):
        with taken():
            response = browser.post(path, given, headers=HTML)
        is_told_to_come_back(response)
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert "Error 503" in response.content.decode()
    for path, given in page_doors(user):
        assert browser.post(path, given, headers=HTML).status_code == 302, path


@pytest.mark.django_db
def test_nothing_is_done_by_halves(api, user, taken):
    login(api, user)
    before = SecurityEvent.objects.count()
    for path, given in api_doors(user):
        with taken():
            ask(api, path, given)
    after = User.objects.get()
    assert (after.password, after.last_login) == (user.password, User.objects.get(pk=user.pk).last_login)
    assert SecurityEvent.objects.count() == before
    assert not events(SecurityEvent.Kind.SIGN_IN_FAILED)


@pytest.mark.django_db
def test_everything_else_goes_on_meanwhile(api, user, clock, taken):
    login(api, user)
    with taken():
        for _ in range(3):
            clock.forward(601)
            assert refresh(api).status_code == 200
        clock.forward(601)
        assert api.get("/").status_code == 200
        assert ask(api, "password/reset", {"email": user.email}).status_code == 202
        assert ask(api, "logout").status_code == 204


@pytest.mark.django_db
def test_a_refresh_on_the_way_is_not_lost_with_the_sign_in(api, user, clock, taken):
    login(api, user)
    clock.forward(601)
    with taken():
        response = api.post("/sign-in", {"username": user.email, "password": PASSWORD}, headers=HTML)
    assert response.status_code == 503
    assert response.cookies[ACCESS].value
    assert api.get("/api/auth/me").status_code == 200


# Enumeration


@pytest.mark.django_db
def test_a_busy_answer_tells_no_account_from_another(taken):
    user = UserFactory()
    switched_off, without = UserFactory(is_active=False), UserFactory(password=None)
    old = UserFactory()
    User.objects.filter(pk=old.pk).update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    tries = [(one.email, PASSWORD) for one in (user, switched_off, without, old)]
    tries += [(user.email, "wrong"), (old.email, "wrong"), (STRANGER, PASSWORD)]
    answers = []
    for email, password in tries:
        with taken():
            answers.append(statements(Client(), "login", {"email": email, "password": password}))
    assert answers == [answers[0]] * len(tries)
    assert answers[0][0][0] == 503


@pytest.mark.django_db
def test_a_busy_form_tells_none_either(taken):
    known, stranger = (_at_the_form(email, taken) for email in (UserFactory().email, STRANGER))
    assert known == stranger


@pytest.mark.django_db
def test_a_busy_registration_asks_the_database_nothing(taken):
    with taken():
        for email in (UserFactory.build().email, STRANGER):
            answer, kinds = statements(Client(), "register", {"email": email, "password": NEW_PASSWORD})
            assert (answer[0], kinds) == (503, [])


def _at_the_form(email: str, taken: Callable[[], Any]) -> tuple[Any, int]:
    with CaptureQueriesContext(connection) as queries, taken():
        response = Client().post("/sign-in", {"username": email, "password": PASSWORD}, headers=HTML)
    return seen(response), len(queries)
