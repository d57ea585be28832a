"""Throttles of mails, per network (429) and per address (silent), and how a locked-out owner gets into the account."""

import pytest
from django.test import Client

from tests.accounts.steps import HOUR, NEW_PASSWORD, ask, events, reset_password, statements
from tests.browsers import browser_at
from tests.factories import PASSWORD
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

LIMIT = 5
"""Mails of one kind to one address in an hour."""
WRONG_PASSWORDS = 10
NETWORK = 60
REGISTRATION, RESET, CHANGE = "register", "password/reset", "email/change"
KINDS = {REGISTRATION: SecurityEvent.Kind.REGISTRATION, RESET: SecurityEvent.Kind.PASSWORD_RESET}


@pytest.fixture(autouse=True)
def _on(throttled, clock):
    """Switch throttles on, and stop the clock. A test that runs into the next period would fail at random."""


def unknown(number) -> Client:
    """Return a browser without cookies, in another network for each number."""
    return browser_at(f"198.51.{number}.7")


def ask_for_mail(client, path, email):
    """Cause a mail to this address. The password is only used for a registration."""
    return ask(client, path, {"email": email, "password": NEW_PASSWORD})


def sign_in(client, email, password=PASSWORD) -> int:
    return int(ask(client, "login", {"email": email, "password": password}).status_code)


class TestOneAddress:
    @pytest.mark.parametrize("path", KINDS)
    def test_gets_a_limited_number_of_mails_and_the_response_does_not_show_it(self, user, mailoutbox, path):
        answers = [
            statements(unknown(number), path, {"email": user.email, "password": NEW_PASSWORD})
            for number in range(LIMIT + 3)
        ]
        assert answers[0][0][0] == 202
        assert answers == answers[:1] * (LIMIT + 3)
        assert [message.to for message in mailoutbox] == [[user.email]] * LIMIT
        assert len(events(KINDS[path])) == LIMIT
        others = [ask_for_mail(unknown(number), path, "nobody@example.org") for number in range(LIMIT + 3)]
        assert [answer.status_code for answer in others] == [202] * (LIMIT + 3)

    def test_gets_mail_again_later_in_whatever_spelling(self, user, mailoutbox, clock):
        for number in range(LIMIT + 3):
            ask_for_mail(unknown(number), RESET, user.email.upper())
        clock.forward(2 * HOUR)
        ask_for_mail(unknown(0), RESET, user.email)
        assert len(mailoutbox) == LIMIT + 1

    def test_has_a_limit_for_each_kind_of_mail(self, user, mailoutbox):
        for path in (RESET, REGISTRATION):
            for number in range(LIMIT + 1):
                ask_for_mail(unknown(number), path, user.email)
        assert len(mailoutbox) == 2 * LIMIT


class TestANetwork:
    @pytest.mark.parametrize("path", KINDS)
    def test_asks_for_a_limited_number_of_mails(self, throttled, path, db):
        throttled(register_network="3/h", reset_network="3/h")
        answers = [ask_for_mail(browser_at(f"203.0.113.{n}"), path, f"{n}@example.org") for n in range(4)]
        assert [answer.status_code for answer in answers] == [202] * 3 + [429]
        assert answers[3].json()["code"] == "throttled"
        assert int(answers[3]["Retry-After"]) > 0
        assert ask_for_mail(browser_at("203.0.114.1"), path, "3@example.org").status_code == 202

    def test_registers_sixty_users_in_an_hour_and_nothing_is_hashed_beyond_them(self, hashed, db):
        answers = [ask_for_mail(Client(), REGISTRATION, f"{number}@example.org") for number in range(NETWORK + 1)]
        assert [answer.status_code for answer in answers] == [202] * NETWORK + [429]
        assert len(hashed) == NETWORK

    def test_is_not_charged_for_a_password_that_is_not_good_enough(self, throttled, db):
        throttled(register_network="1/h")
        bad = {"email": "a@example.org", "password": "12345678"}
        assert [ask(Client(), REGISTRATION, bad).status_code for _ in range(3)] == [400] * 3
        assert ask_for_mail(Client(), REGISTRATION, "a@example.org").status_code == 202

    def test_gets_an_error_page_from_a_form(self, throttled, db):
        throttled(reset_network="1/h")
        browser, form = Client(headers={"Accept": "text/html"}), {"email": "a@example.org"}
        assert browser.post("/password/reset", form).status_code == 302
        response = browser.post("/password/reset", form)
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert "Too many requests" in response.content.decode()


def guess(user):
    """Try passwords until unknown browsers are locked out of the account."""
    for number in range(WRONG_PASSWORDS):
        sign_in(unknown(number), user.email, f"{number}")
    assert sign_in(unknown(0), user.email, "another") == 429


def reset(browser, user, token_in):
    """Reset the password by mail."""
    ask(browser, RESET, {"email": user.email})
    assert reset_password(browser, token_in(user.email)).status_code == 204


class TestALockedOutOwner:
    """An attacker tries passwords all the time, from many networks."""

    def test_signs_in_with_a_new_password_while_the_attack_continues(self, user, token_in):
        guess(user)
        owner, elsewhere = browser_at("192.0.2.1"), browser_at("203.0.113.1")
        assert sign_in(owner, user.email) == 429
        reset(owner, user, token_in)
        guess(user)
        assert sign_in(elsewhere, user.email, NEW_PASSWORD) == 429
        assert sign_in(browser_at("192.0.2.1"), user.email, NEW_PASSWORD) == 200

    def test_has_an_hour_and_the_usual_number_of_tries(self, user, token_in, clock):
        owner = browser_at("192.0.2.1")
        reset(owner, user, token_in)
        guess(user)
        assert [sign_in(owner, user.email, "wrong") for _ in range(WRONG_PASSWORDS + 1)] == [401] * 10 + [429]
        clock.forward(HOUR + 1)
        guess(user)
        assert sign_in(owner, user.email, NEW_PASSWORD) == 429

    def test_has_the_tries_of_the_browser_too_when_it_is_known_again(self, user, token_in):
        owner = browser_at("192.0.2.1")
        reset(owner, user, token_in)
        assert sign_in(owner, user.email, NEW_PASSWORD) == 200
        ask(owner, "logout")
        guess(user)
        wrong = [sign_in(owner, user.email, "wrong") for _ in range(2 * WRONG_PASSWORDS + 1)]
        assert wrong == [401] * 2 * WRONG_PASSWORDS + [429]

    def test_finds_a_valid_link_in_the_mailbox_when_the_attacker_has_used_up_the_mails(self, user, token_in, clock):
        for number in range(2 * LIMIT):
            ask(unknown(number), RESET, {"email": user.email})
            clock.forward(60)
        reset(browser_at("192.0.2.1"), user, token_in)
