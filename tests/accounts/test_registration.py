"""Registration: an address is confirmed by mail, and no answer tells whether there is an account."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import User
from tests.accounts.steps import NEW_PASSWORD, STRANGE, ask, events, seen, statements
from tests.browsers import FIREFOX, login, post
from tests.factories import PASSWORD, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
ADA = {"email": ADDRESS, "password": PASSWORD}
DAY = 86400


def sign_in(client: Client, password: str = PASSWORD) -> int:
    return int(ask(client, "login", {"email": ADDRESS, "password": password}).status_code)


def confirm(client: Client, token: str) -> Any:
    return ask(client, "email/confirm", {"token": token})


def test_a_new_address_gets_an_account_that_is_shut_until_it_is_confirmed(api, mailoutbox, token_in):
    response = ask(api, "register", ADA)
    assert response.status_code == 202
    assert not response.cookies
    user = User.objects.get()
    assert (user.email, user.is_active, user.email_confirmed_at) == (ADDRESS, False, None)
    assert [message.to for message in mailoutbox] == [[ADDRESS]]
    assert sign_in(api) == 401
    response = confirm(api, token_in(ADDRESS))
    assert (response.status_code, response.content) == (204, b"")
    assert sign_in(api) == 200
    user.refresh_from_db()
    assert user.email_confirmed_at


def test_both_steps_are_written_down(api, token_in):
    ask(api, "register", ADA)
    confirm(api, token_in(ADDRESS))
    asked, confirmed = (
        events(kind)[0] for kind in (SecurityEvent.Kind.REGISTRATION, SecurityEvent.Kind.EMAIL_CONFIRMED)
    )
    assert asked.user == confirmed.user == User.objects.get()
    assert asked.reason == "new address"
    assert asked.user_agent == FIREFOX


def test_an_address_is_one_in_any_spelling(api, mailoutbox):
    ask(api, "register", {"email": "Ada@Example.ORG", "password": PASSWORD})
    ask(api, "register", ADA)
    assert User.objects.get().email == ADDRESS
    assert [message.to for message in mailoutbox] == [[ADDRESS], [ADDRESS]]


def test_an_existing_account_is_told_and_not_touched(api, mailoutbox):
    user = UserFactory(email=ADDRESS)
    ask(api, "register", {"email": ADDRESS, "password": NEW_PASSWORD})
    assert "There is one already" in mailoutbox[0].body
    assert "token=" not in mailoutbox[0].body
    assert sign_in(api, NEW_PASSWORD) == 401
    assert sign_in(api) == 200
    assert events(SecurityEvent.Kind.REGISTRATION)[0].user == user


def test_an_account_that_was_never_confirmed_gets_the_newer_password_and_a_newer_link(api, token_in):
    ask(api, "register", ADA)
    older = token_in(ADDRESS)
    ask(api, "register", {"email": ADDRESS, "password": NEW_PASSWORD})
    assert confirm(api, older).json()["code"] == "invalid_token"
    assert confirm(api, token_in(ADDRESS)).status_code == 204
    assert sign_in(api) == 401
    assert sign_in(api, NEW_PASSWORD) == 200
    assert [event.reason for event in events(SecurityEvent.Kind.REGISTRATION)] == ["new address", "never confirmed"]


class TestNothingTellsWhetherThereIsAnAccount:
    @pytest.fixture
    def answers(self, api: Client, hashed: list[str]) -> dict[str, Any]:
        """What registering costs and shows: for a new address, one never confirmed, and three kinds of accounts."""
        UserFactory(email="there@example.org")
        UserFactory(email="off@example.org", is_active=False)
        UserFactory(email="bare@example.org", password=None)
        UserFactory(email="never@example.org", is_active=False, email_confirmed_at=None)
        found = {}
        for name in ("new", "there", "off", "bare", "never"):
            hashed.clear()
            answer, kinds = statements(api, "register", {"email": f"{name}@example.org", "password": PASSWORD})
            found[name] = (answer, kinds, list(hashed))
        return found

    @pytest.mark.parametrize("name", ["there", "off", "bare", "never"])
    def test_the_answer_the_statements_and_the_hashing_are_the_same(self, answers, name):
        assert answers[name] == answers["new"]
        assert answers["new"][2] == ["encode"]

    def test_everybody_gets_one_mail(self, answers, mailoutbox):
        assert [len(message.to) for message in mailoutbox] == [1] * 5

    @pytest.mark.parametrize("email", ["there@example.org", "new@example.org"])
    def test_the_rules_for_passwords_do_not_look(self, answers, api, email):
        response = ask(api, "register", {"email": email, "password": "password"})
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["password"]
        assert len(response.json()["errors"]["password"]) == 1

    def test_signing_in_to_an_account_never_confirmed_is_like_a_wrong_password(self, api):
        UserFactory(email=ADDRESS, is_active=False, email_confirmed_at=None)
        refused = ask(api, "login", ADA)
        assert seen(refused) == seen(ask(api, "login", {"email": "nobody@example.org", "password": PASSWORD}))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"email": ADDRESS, "password": "short"}, "password"),
        ({"email": ADDRESS, "password": "ada@example"}, "password"),
        ({"email": ADDRESS, "password": "12345678"}, "password"),
        ({"email": ADDRESS, "password": "x" * 4097}, "password"),
        ({"email": ADDRESS, "password": ""}, "password"),
        ({"email": ADDRESS}, "password"),
        ({"email": "no address", "password": PASSWORD}, "email"),
        ({"email": f"{'a' * 250}@example.org", "password": PASSWORD}, "email"),
        ({"email": "a\0b@example.org", "password": PASSWORD}, "email"),
        ({"email": f"{ADDRESS}\nBcc: eve@example.org", "password": PASSWORD}, "email"),
        ({"email": [ADDRESS], "password": PASSWORD}, "email"),
        ({"email": ADDRESS, "password": 12345678901234567890}, "password"),
        ({"email": ADDRESS, "password": "a surrogate \ud800 is no text"}, "password"),
        ({"password": PASSWORD}, "email"),
        ({}, "email"),
    ],
)
def test_what_is_not_valid_is_said_of_its_field(api, mailoutbox, data, field):
    response = ask(api, "register", data)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
    assert field in response.json()["errors"]
    assert not mailoutbox
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["register", "email/confirm", "password/reset", "password/reset/confirm"])
def test_what_is_nested_deeply_is_only_not_valid(api, db, path):
    nested = "[" * 800 + "]" * 800  # Deeper still is malformed: Python's parser has a limit of its own.
    body = f'{{"email": {nested}, "password": {nested}, "token": {nested}}}'
    response = api.post(f"/api/auth/{path}", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize("path", ["register", "email/confirm", "password/reset", "password/reset/confirm"])
def test_a_page_of_another_origin_is_refused(api, path, mailoutbox):
    response = ask(api, path, ADA, **STRANGE)
    assert (response.status_code, response.json()["code"]) == (403, "cross_origin")
    assert not mailoutbox


@pytest.mark.parametrize("path", ["register", "email/confirm", "password/reset", "password/reset/confirm"])
def test_only_json_objects_are_taken_and_only_by_post(api, path):
    assert post(api, f"/api/auth/{path}", "[]").status_code == 400
    assert api.post(f"/api/auth/{path}", "{", content_type="application/json").status_code == 400
    assert api.post(f"/api/auth/{path}", {"email": ADDRESS}).status_code == 415
    refused = api.get(f"/api/auth/{path}")
    assert (refused.status_code, refused["Content-Type"]) == (405, "application/problem+json")


def test_a_trailing_slash_is_neither_needed_nor_refused(api):
    assert ask(api, "register/", ADA).status_code == 202


def test_a_stale_session_does_not_stand_in_the_way(api, user, clock):
    login(api, user)
    clock.forward(40 * DAY)
    assert ask(api, "register", ADA).status_code == 202


class TestALink:
    @pytest.fixture
    def token(self, api: Client, token_in: Callable[[str], str]) -> str:
        ask(api, "register", ADA)
        return token_in(ADDRESS)

    def refused(self, client: Client, token: str) -> None:
        """The one answer to every link that is not good, and the account stays shut."""
        response = confirm(client, token)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_token")
        assert not User.objects.filter(email=ADDRESS, is_active=True).exists()

    def test_works_once(self, api, token):
        assert confirm(api, token).status_code == 204
        assert confirm(api, token).json()["code"] == "invalid_token"

    def test_works_for_three_days(self, api, clock, token_in):
        ask(api, "register", ADA)
        clock.forward(3 * DAY - 1)
        assert confirm(api, token_in(ADDRESS)).status_code == 204

    def test_does_not_work_for_longer(self, api, clock, token_in):
        ask(api, "register", ADA)
        clock.forward(3 * DAY + 1)
        self.refused(api, token_in(ADDRESS))

    @pytest.mark.parametrize("place", [0, 5, -1, -30, -45])
    def test_does_not_work_if_a_character_is_another(self, api, token, place):
        letters = list(token)
        # The last character of a signature has idle bits: "A" and "B" may mean the same there, "A" and "z" do not.
        letters[place] = "A" if letters[place] not in "ABCD" else "z"
        self.refused(api, "".join(letters))

    @pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é.ü.ß", "W10.1xYzA2.AAAA", "x" * 1024])
    def test_that_is_nonsense_costs_no_query(self, api, token, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert confirm(api, token).json()["code"] == "invalid_token"

    def test_of_another_purpose_does_not_work(self, api, token):
        self.refused(api, make(Purpose.PASSWORD_RESET, User.objects.get()))

    def test_of_an_account_that_is_gone_does_not_work(self, api, token):
        User.objects.get().delete()
        self.refused(api, token)

    def test_survives_a_new_secret_key_while_the_old_one_is_a_fall_back(self, api, token, settings):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
        assert confirm(api, token).status_code == 204

    def test_does_not_bring_back_whoever_was_switched_off_after_it(self, api, token):
        confirm(api, token)
        User.objects.update(is_active=False)
        self.refused(api, token)

    @pytest.mark.parametrize("by", ["save", "update"])
    def test_does_not_bring_back_whoever_an_administrator_switched_on_and_off(self, api, token, by):
        for is_active in (True, False):
            if by == "save":
                user = User.objects.get()
                user.is_active = is_active
                user.save(update_fields=["is_active"])
            else:
                User.objects.filter(email=ADDRESS).update(is_active=is_active)
        self.refused(api, token)

    def test_neither_does_registering_again(self, api, mailoutbox):
        UserFactory(email=ADDRESS, is_active=False)
        ask(api, "register", ADA)
        assert "token=" not in mailoutbox[-1].body


def test_who_is_made_by_hand_is_confirmed(db):
    for user in (
        User.objects.create_user("a@example.org", PASSWORD),
        User.objects.create_superuser("b@example.org", PASSWORD),
        User.objects.create(email="c@example.org"),
    ):
        assert user.email_confirmed_at, user


@pytest.mark.django_db(transaction=True)
def test_two_registrations_at_once_make_one_account(api, settings):
    settings.TOKENS = {"MAX_HASHINGS": 4}

    def register(number: int) -> int:
        try:
            return int(ask(Client(), "register", {"email": ADDRESS, "password": f"{PASSWORD} {number}"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(register, range(8))) == {202}
    assert User.objects.count() == 1
