"""Confirming a registration: which links work, which password the account gets, and what is kept of a registration."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import Registration
from accounts.service.registration import MAX_PENDING, MAX_TRIES
from tests.accounts.steps import (
    DAY,
    HOUR,
    NEW_PASSWORD,
    ask,
    can_sign_in,
    confirm,
    events,
    form_errors,
    leads_to,
    outcome,
    problem,
)
from tests.browsers import FIREFOX
from tests.factories import PASSWORD, User, UserFactory, pending
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
ADA = {"email": ADDRESS, "password": PASSWORD}
OTHERS = {"email": ADDRESS, "password": "what a stranger has chosen"}


@pytest.fixture
def token(clock) -> str:
    """The token of the link to a registration of ADDRESS with PASSWORD. Others would be refused in any case."""
    return make(Purpose.REGISTRATION, pending(ADDRESS).pk)


def fill_in_once(client, token, password):
    """Submit the page behind the link without choosing a new password."""
    return client.post("/email/confirm", {"token": token, "password1": password, "password2": ""})


class TestTheLinkOfEachMail:
    @pytest.mark.parametrize("used", [0, 1], ids=["the first", "the second"])
    def test_works_until_one_was_used(self, api, send, mailoutbox, token_in, used):
        tokens = []
        for given in (ADA, OTHERS):
            ask(api, "register", given)
            tokens.append(token_in(ADDRESS))
        assert outcome(confirm(api, tokens[used], send)) == "done"
        assert can_sign_in(api, ADDRESS)
        assert not can_sign_in(api, ADDRESS, OTHERS["password"])
        answers = [outcome(confirm(api, token, send, NEW_PASSWORD)) for token in tokens]
        assert sorted(answers) == ["400 invalid_token", "400 link_used"]
        assert answers[used] == "400 link_used"
        assert can_sign_in(api, ADDRESS)
        assert [event.reason for event in events(SecurityEvent.Kind.REGISTRATION)] == ["new address", "pending"]

    def test_does_not_work_after_a_day(self, api, token, clock):
        clock.forward(DAY)
        assert outcome(confirm(api, token)) == "400 invalid_token"
        assert not User.objects.exists()

    def test_does_not_work_if_another_spelling_has_an_account_by_now(self, api, token, send):
        UserFactory(email="ADA@ｅxample.org")
        assert outcome(confirm(api, token, send)) == "400 invalid_token"
        assert User.objects.count() == 1

    def test_does_not_open_the_account_of_a_later_registration_when_the_first_account_is_deleted(self, api, token):
        confirm(api, token)
        User.objects.all().delete()
        pending(ADDRESS)
        assert outcome(confirm(api, token)) == "400 link_used"
        assert not User.objects.exists()


class TestThePasswordOfTheAccount:
    def test_is_the_one_given_at_registration_which_the_page_asks_for_once(self, api, token):
        page = api.get("/email/confirm", {"token": token}, follow=True).content.decode()
        assert "The password with which you have registered." in page
        assert leads_to(fill_in_once(api, token, PASSWORD)) == "/email/confirmed"
        assert can_sign_in(api, ADDRESS)

    def test_is_not_asked_for_if_the_link_changes_the_address_of_an_account(self, api, signed_in, token_in):
        ask(signed_in, "email/change", {"email": ADDRESS})
        assert (
            'type="password"'
            not in api.get("/email/confirm", {"token": token_in(ADDRESS)}, follow=True).content.decode()
        )
        assert ask(api, "email/confirm", {"token": token_in(ADDRESS)}).status_code == 204

    def test_is_another_one_only_if_the_page_gets_it_twice(self, api, token):
        response = fill_in_once(api, token, NEW_PASSWORD)
        assert form_errors(response) == {"password2"}
        assert "To choose this one, repeat it." in response.content.decode()
        assert NEW_PASSWORD not in response.content.decode()
        assert not User.objects.exists()
        response = api.post("/email/confirm", {"token": token, "password1": NEW_PASSWORD, "password2": "typed wrong"})
        assert form_errors(response) == {"password2"}
        assert outcome(confirm(api, token, password=NEW_PASSWORD)) == "done"
        assert can_sign_in(api, ADDRESS, NEW_PASSWORD)
        assert not can_sign_in(api, ADDRESS)

    def test_is_missing_from_a_request_to_the_api(self, api, token):
        assert problem(response := ask(api, "email/confirm", {"token": token})) == "400 invalid password"
        assert response.json()["errors"]["password"] == [
            "Send the password that was given with the registration, or a new one."
        ]
        assert outcome(confirm(api, token)) == "done"

    def test_is_refused_if_it_is_not_good_enough_and_the_link_works_again(self, api, send, token):
        assert outcome(confirm(api, token, send, "12345678")) == "400 invalid password"
        assert outcome(confirm(api, token, send)) == "done"

    def test_is_not_hashed_if_it_is_too_long(self, api, token, hashed):
        assert form_errors(fill_in_once(api, token, "x" * 4097)) == {"password2"}
        assert hashed == []

    def test_cannot_be_guessed_by_the_reader_of_the_mailbox(self, api, token):
        """People mistype their address. The mailbox may belong to somebody else, and the password be used elsewhere."""
        for number in range(MAX_TRIES):
            assert form_errors(fill_in_once(api, token, f"guess {number}")) == {"password2"}
        assert form_errors(fill_in_once(api, token, PASSWORD)) == {"password2"}
        assert outcome(confirm(api, token, password=NEW_PASSWORD)) == "done"


class TestRegistrationsOfOneAddress:
    def test_are_bounded_in_whatever_spelling_and_a_further_mail_has_a_link_that_lasts_a_day(
        self, api, mailoutbox, token_in, clock
    ):
        for number in range(MAX_PENDING + 2):
            clock.forward(HOUR)
            ask(api, "register", OTHERS | {"email": "ADA@example.org" if number % 2 else "ada@ｅxample.org"})
        assert Registration.objects.count() == MAX_PENDING
        reasons = [event.reason for event in events(SecurityEvent.Kind.REGISTRATION)]
        assert reasons == ["new address", *["pending"] * (MAX_PENDING - 1), "full", "full"]
        assert len(mailoutbox) == MAX_PENDING + 2
        clock.forward(DAY - 1)
        assert outcome(confirm(api, token_in(ADDRESS), password=NEW_PASSWORD)) == "done"

    def test_stay_bounded_if_they_are_parallel(self, settings, parallel):
        answers = parallel(
            lambda number: outcome(ask(Client(), "register", ADA | {"password": f"{PASSWORD} {number}"}))
        )
        assert set(answers) == {"done"}
        assert (Registration.objects.count(), User.objects.count()) == (MAX_PENDING, 0)

    def test_make_one_account_if_their_links_are_used_at_the_same_time(self, settings, parallel):
        tokens = [make(Purpose.REGISTRATION, pending(ADDRESS).pk) for _ in range(MAX_PENDING)]
        passwords = [f"{PASSWORD} {number}" for number in range(MAX_PENDING)]
        answers = parallel(
            lambda number: outcome(confirm(Client(), tokens[number % MAX_PENDING], password=passwords[number % 10]))
        )
        assert answers.count("done") == 1
        assert set(answers) == {"done", "400 invalid_token", "400 link_used"}
        assert [User.objects.get().check_password(password) for password in passwords].count(True) == 1
        assert not Registration.objects.filter(used_at=None).exists()
        assert Registration.objects.get().password == ""

    def test_are_not_touched_by_a_request_that_is_throttled(self, api, throttled, clock, mailoutbox):
        throttled(register_account="1/h", register_network="3/h")
        browsers = [Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR=f"198.51.{n}.7") for n in (1, 1, 1, 1, 2)]
        ask(browsers[0], "register", ADA)
        before = list(Registration.objects.values())
        answers = [ask(browser, "register", OTHERS).status_code for browser in browsers[1:]]
        assert answers == [202, 202, 429, 202]
        assert list(Registration.objects.values()) == before
        assert len(mailoutbox) == 1

    def test_are_purged_after_a_day(self, capsys, clock):
        pending("old@example.org")
        clock.forward(DAY - 1)
        pending("new@example.org")
        call_command("purge_links")
        assert "registrations: 0 deleted\npending changes: 0 deleted\n0 rows deleted in" in capsys.readouterr().out
        clock.forward(1)
        call_command("purge_links", "--dry-run")
        assert "registrations: 1 would be deleted\n" in capsys.readouterr().out
        assert Registration.objects.count() == 2
        call_command("purge_links")
        assert "registrations: 1 deleted\npending changes: 0 deleted\n1 row deleted in" in capsys.readouterr().out
        assert Registration.objects.get().email == "new@example.org"

    def test_do_not_outlast_their_day_if_the_address_is_registered_again(self, api, clock):
        pending(ADDRESS)
        clock.forward(DAY)
        ask(api, "register", ADA)
        assert Registration.objects.count() == 1


@pytest.fixture
def parallel(settings, transactional_db):
    """Runs a job with the numbers from 0 to 19 on four connections at once, and returns the results."""
    settings.TOKENS = {"MAX_HASHINGS": 4}

    def run(job):
        def on_its_own_connection(number):
            try:
                return job(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(on_its_own_connection, range(20)))

    return run
