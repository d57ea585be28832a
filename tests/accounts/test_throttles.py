"""Throttles of mails: per network refused, per address kept quiet about; and the owner's way back into an account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.accounts.steps import NEW_PASSWORD, ask, events, statements
from tests.browsers import FIREFOX, login
from tests.factories import PASSWORD
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html"}
LIMIT = 5
"""Mails of a kind for one address, in an hour."""
WRONG_PASSWORDS = 10
NETWORK = 60
REGISTRATION, RESET, CHANGE = "register", "password/reset", "email/change"


@pytest.fixture(autouse=True)
def _on(throttled: Any, clock: Any) -> None:
    """Everything here is about throttles that are on, by a clock that stands at the beginning of every period."""


def browser_at(address: str) -> Client:
    return Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=address)


def anybody(number: int) -> Client:
    """A browser that was never here, in a network of its own."""
    return browser_at(f"198.51.{number}.7")


def data(path: str, email: str) -> dict[str, str]:
    return {"email": email, **({"password": NEW_PASSWORD} if path == REGISTRATION else {})}


def sign_in(client: Client, email: str, password: str = PASSWORD) -> int:
    return int(ask(client, "login", {"email": email, "password": password}).status_code)


class TestOneAddress:
    @pytest.mark.parametrize(
        ("path", "kind"), [(REGISTRATION, SecurityEvent.Kind.REGISTRATION), (RESET, SecurityEvent.Kind.PASSWORD_RESET)]
    )
    def test_gets_so_many_mails_and_nobody_is_told(self, user, mailoutbox, path, kind):
        answers = [statements(anybody(number), path, data(path, user.email)) for number in range(LIMIT + 3)]
        assert answers[0][0][0] == 202
        assert all(answer == answers[0] for answer in answers)
        assert [message.to for message in mailoutbox] == [[user.email]] * LIMIT
        assert len(events(kind)) == LIMIT + 3

    @pytest.mark.parametrize("path", [REGISTRATION, RESET])
    def test_is_told_from_no_other(self, user, path):
        def answers(email: str) -> list[int]:
            return [ask(anybody(number), path, data(path, email)).status_code for number in range(LIMIT + 3)]

        assert answers(user.email) == answers("nobody@example.org") == [202] * (LIMIT + 3)

    def test_gets_mail_again_later(self, user, mailoutbox, clock):
        for number in range(LIMIT + 3):
            ask(anybody(number), RESET, data(RESET, user.email.upper()))
        clock.forward(2 * 3600)
        ask(anybody(0), RESET, data(RESET, user.email))
        assert len(mailoutbox) == LIMIT + 1

    def test_is_sent_no_more_by_somebody_who_says_it_is_theirs(self, user, api, mailoutbox, clock):
        login(api, user)
        for _ in range(LIMIT + 3):
            assert ask(api, CHANGE, data(CHANGE, "new@example.org")).status_code == 202
        assert [message.to[0] for message in mailoutbox].count("new@example.org") == LIMIT

    def test_is_another_for_another_kind_of_mail(self, user, mailoutbox):
        for path in (RESET, REGISTRATION):
            for number in range(LIMIT + 1):
                ask(anybody(number), path, data(path, user.email))
        assert len(mailoutbox) == 2 * LIMIT


class TestANetwork:
    @pytest.mark.parametrize("path", [REGISTRATION, RESET])
    def test_asks_for_so_many_mails_and_is_refused_then(self, mailoutbox, throttled, path, db):
        throttled(register_network="3/h", reset_network="3/h")
        addresses = [f"{number}@example.org" for number in range(4)]
        answers = [ask(browser_at(f"203.0.113.{n}"), path, data(path, email)) for n, email in enumerate(addresses)]
        assert [answer.status_code for answer in answers] == [202] * 3 + [429]
        assert answers[3].json()["code"] == "throttled"
        assert int(answers[3]["Retry-After"]) > 0
        assert ask(browser_at("203.0.114.1"), path, data(path, addresses[3])).status_code == 202

    def test_of_an_office_may_register_sixty_in_an_hour(self, hashed, db):
        statuses = [
            ask(Client(), REGISTRATION, data(REGISTRATION, f"{number}@example.org")).status_code
            for number in range(NETWORK + 1)
        ]
        assert statuses == [202] * NETWORK + [429]
        assert len(hashed) == NETWORK, "Nothing is hashed for whoever is refused."

    def test_is_not_charged_for_a_password_that_is_not_good_enough(self, throttled, db):
        throttled(register_network="1/h")
        given = {"email": "a@example.org", "password": "12345678"}
        assert [ask(Client(), REGISTRATION, given).status_code for _ in range(3)] == [400] * 3
        assert ask(Client(), REGISTRATION, data(REGISTRATION, "a@example.org")).status_code == 202

    def test_is_told_so_by_a_page(self, throttled, db):
        throttled(reset_network="1/h")
        form = {"email": "a@example.org"}
        assert Client(headers=HTML).post("/password/reset", form).status_code == 302
        response = Client(headers=HTML).post("/password/reset", form)
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert "too often" in response.content.decode()


class TestALockedOutOwner:
    """While somebody tries passwords from everywhere, all the time."""

    @pytest.fixture
    def guess(self, user: Any) -> Callable[[], None]:
        """Tries until the account is closed to strangers."""

        def try_passwords() -> None:
            for number in range(WRONG_PASSWORDS):
                sign_in(anybody(number), user.email, f"{number}")
            assert sign_in(anybody(0), user.email, "another") == 429

        return try_passwords

    def test_gets_in_with_a_new_password_though_the_guesser_goes_on(self, user, guess, token_in):
        guess()
        owner, elsewhere = browser_at("192.0.2.1"), browser_at("203.0.113.1")
        assert sign_in(owner, user.email) == 429
        ask(owner, RESET, {"email": user.email})
        token = token_in(user.email)
        given = {"token": token, "password": NEW_PASSWORD}
        assert ask(owner, "password/reset/confirm", given).status_code == 204
        guess()
        assert sign_in(elsewhere, user.email, NEW_PASSWORD) == 429
        assert sign_in(browser_at("192.0.2.1"), user.email, NEW_PASSWORD) == 200

    def test_has_an_hour_for_it_and_as_many_tries_as_anybody(self, user, guess, token_in, clock):
        owner = browser_at("192.0.2.1")
        ask(owner, RESET, {"email": user.email})
        given = {"token": token_in(user.email), "password": NEW_PASSWORD}
        assert ask(owner, "password/reset/confirm", given).status_code == 204
        guess()
        assert [sign_in(owner, user.email, "wrong") for _ in range(WRONG_PASSWORDS + 1)] == [401] * 10 + [429]
        clock.forward(3601)
        guess()
        assert sign_in(owner, user.email, NEW_PASSWORD) == 429

    def test_finds_a_link_in_the_mailbox_though_the_guesser_has_asked_for_them_all(self, user, token_in, clock):
        for number in range(2 * LIMIT):
            ask(anybody(number), RESET, {"email": user.email})
            clock.forward(60)
        ask(browser_at("192.0.2.1"), RESET, {"email": user.email})
        given = {"token": token_in(user.email), "password": NEW_PASSWORD}
        assert ask(browser_at("192.0.2.1"), "password/reset/confirm", given).status_code == 204
