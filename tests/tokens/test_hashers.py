"""Hashing in turns: how many passwords are hashed at a time, what other clients are told then, and what continues."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from argon2.exceptions import HashingError
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.links import Purpose
from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, ask, events, seen, statements
from tests.browsers import ACCESS, login, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory, link_token
from tests.hashers import CheapArgon2, CheapPBKDF2, CheapScrypt
from tests.tokens.web_steps import EXPIRED
from tokens import hashers
from tokens.hashers import Busy, turns
from tokens.models import SecurityEvent

HTML = {"Accept": "text/html"}
UNKNOWN = "stranger@example.org"
"""An address without an account."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a request that has to wait be refused immediately. Otherwise a test would last as long as the wait."""
    monkeypatch.setattr(hashers, "PATIENCE", 0)


@pytest.fixture
def taken(impatient: None, settings: Any) -> Callable[[], Any]:
    """Takes the only turn, as another sign-in does while its password is hashed. Otherwise no request is refused."""
    settings.TOKENS = {"MAX_HASHINGS": 1}
    return lambda: turns().turn()


def can_hash(number: int) -> bool:
    """Return whether this thread can take so many turns at a time."""
    with ExitStack() as stack:
        try:
            for _ in range(number):
                stack.enter_context(turns().turn())
        except Busy:
            return False
    return True


class TestTurns:
    CORES = ["unknown", "1 core", "2 cores", "5 cores", "16 cores"]

    @pytest.mark.parametrize(("cores", "size"), [(None, 1), (1, 1), (2, 1), (5, 2), (16, 8)], ids=CORES)
    def test_by_default_half_of_the_cores_hash_at_a_time(self, cores, size, impatient, monkeypatch):
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        assert (can_hash(size), can_hash(size + 1)) == (True, False)

    def test_the_setting_changes_the_number_at_runtime(self, impatient, settings):
        for size in (3, 1):
            settings.TOKENS = {"MAX_HASHINGS": size}
            assert (can_hash(size), can_hash(size + 1)) == (True, False)

    @pytest.mark.parametrize(
        "hasher", [CheapArgon2(), CheapPBKDF2(), CheapScrypt()], ids=lambda hasher: hasher.algorithm
    )
    def test_every_algorithm_takes_a_turn_and_returns_it(self, hasher, taken):
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


def api_requests(user: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path and the data of every request to the auth API that hashes a password."""
    yield "login", {"email": user.email, "password": PASSWORD}
    yield "reauthenticate", {"password": PASSWORD}
    yield "register", {"email": UNKNOWN, "password": NEW_PASSWORD}
    yield "password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    user.refresh_from_db()
    yield "password/reset/confirm", {"token": link_token(Purpose.PASSWORD_RESET, user), "password": NEW_PASSWORD}


def page_requests(user: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path and the data of every form that hashes a password."""
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    yield "/sign-in", {"username": user.email, "password": PASSWORD}
    yield "/sign-in/again", {"current_password": PASSWORD}
    yield "/admin/login/", {"username": user.email, "password": PASSWORD}
    yield "/register", {"email": UNKNOWN, **new}
    yield "/password/change", {"current_password": PASSWORD, **new}
    user.refresh_from_db()
    yield "/password/reset/confirm", {"token": link_token(Purpose.PASSWORD_RESET, user), **new}


def submit(client: Client, path: str, data: dict[str, str]) -> Any:
    return client.post(path, data, headers=HTML)


KINDS = {
    # requests, how they are sent, content type and a text of the 503, statuses later
    "the API": (api_requests, ask, "application/problem+json", '"code":"unavailable"', {200, 202, 204}),
    "pages": (page_requests, submit, "text/html; charset=utf-8", "Error 503", {302}),
}


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
class TestARequestWithoutATurn:
    @pytest.mark.parametrize(("requests", "send", "content_type", "text", "statuses"), KINDS.values(), ids=KINDS)
    def test_it_is_503_and_succeeds_later(self, browser, taken, requests, send, content_type, text, statuses):
        user = AdminFactory()
        login(browser, user)
        for path, data in requests(user):
            with taken():
                response = send(browser, path, data)
            headers = [response[name] for name in ("Retry-After", "Cache-Control", "Content-Type")]
            assert (response.status_code, headers) == (503, ["2", "no-store", content_type]), path
            assert text in response.content.decode()
            assert not response.cookies, "No cookie is set or cleared."
        with taken():
            assert browser.get("/api/auth/me").status_code == 200
        for path, data in requests(user):
            assert send(browser, path, data).status_code in statuses, path

    def test_it_changes_nothing(self, signed_in, user, taken):
        before, recorded = User.objects.get(), SecurityEvent.objects.count()
        for path, data in api_requests(user):
            with taken():
                ask(signed_in, path, data)
        after = User.objects.get()
        assert (after.password, after.last_login) == (before.password, before.last_login)
        assert SecurityEvent.objects.count() == recorded
        assert not events(SecurityEvent.Kind.SIGN_IN_FAILED)

    def test_all_other_requests_are_served_meanwhile(self, clock, signed_in, user, taken):
        with taken():
            for _ in range(3):
                clock.forward(EXPIRED)
                assert refresh(signed_in).status_code == 200
            clock.forward(EXPIRED)
            assert signed_in.get("/").status_code == 200
            assert ask(signed_in, "password/reset", {"email": user.email}).status_code == 202
            assert ask(signed_in, "logout").status_code == 204

    def test_if_the_middleware_refreshed_it_the_new_tokens_are_sent(self, clock, signed_in, user, taken):
        clock.forward(EXPIRED)
        with taken():
            response = signed_in.post("/sign-in", {"username": user.email, "password": PASSWORD}, headers=HTML)
        assert response.status_code == 503
        assert response.cookies[ACCESS].value
        assert signed_in.get("/api/auth/me").status_code == 200


@pytest.mark.django_db
class TestEnumeration:
    """While the server is busy, an attacker must not learn from its answers which accounts exist."""

    def test_the_api_answers_every_account_alike(self, taken):
        user, old = UserFactory(), UserFactory()
        User.objects.filter(pk=old.pk).update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
        accounts = (user, UserFactory(is_active=False), UserFactory(password=None), old)
        attempts = [(one.email, PASSWORD) for one in accounts]
        attempts += [(user.email, "wrong"), (old.email, "wrong"), (UNKNOWN, PASSWORD)]
        answers = []
        for email, password in attempts:
            with taken():
                answers.append(statements(Client(), "login", {"email": email, "password": password}))
        assert answers == [answers[0]] * len(attempts)
        assert answers[0][0][0] == 503

    def test_the_sign_in_form_answers_every_account_alike(self, taken):
        answers = []
        for email in (UserFactory().email, UNKNOWN):
            with CaptureQueriesContext(connection) as queries, taken():
                response = Client().post("/sign-in", {"username": email, "password": PASSWORD}, headers=HTML)
            answers.append((seen(response), len(queries)))
        assert answers[0] == answers[1]

    def test_a_registration_does_not_query_the_database(self, taken):
        for email in (UserFactory.build().email, UNKNOWN):
            with taken():
                answer, kinds = statements(Client(), "register", {"email": email, "password": NEW_PASSWORD})
            assert (answer[0], kinds) == (503, [])
