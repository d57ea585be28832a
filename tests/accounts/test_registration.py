"""Registration: an address is confirmed by mail, and no response shows whether there is an account."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from tests.accounts.steps import (
    CROSS_ORIGIN,
    CROSS_SITE,
    DAY,
    INVALID_LINK,
    NEW_PASSWORD,
    ask,
    can_sign_in,
    confirm_email,
    events,
    invalid_fields,
    problem,
    seen,
    statements,
)
from tests.browsers import FIREFOX
from tests.factories import PASSWORD, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
ADA = {"email": ADDRESS, "password": PASSWORD}
NEWER = {"email": ADDRESS, "password": NEW_PASSWORD}


def test_an_account_is_inactive_until_its_address_is_confirmed(api, mailoutbox, token_in):
    response = ask(api, "register", ADA)
    assert (response.status_code, len(response.cookies)) == (202, 0)
    user = User.objects.get()
    assert (user.email, user.is_active, user.email_confirmed_at) == (ADDRESS, False, None)
    assert [message.to for message in mailoutbox] == [[ADDRESS]]
    assert not can_sign_in(api, ADDRESS)
    response = confirm_email(api, token_in(ADDRESS))
    assert (response.status_code, response.content) == (204, b"")
    assert can_sign_in(api, ADDRESS)
    user.refresh_from_db()
    assert user.email_confirmed_at
    (asked,), (confirmed,) = events(SecurityEvent.Kind.REGISTRATION), events(SecurityEvent.Kind.EMAIL_CONFIRMED)
    assert (asked.user, asked.reason, asked.user_agent) == (user, "new address", FIREFOX)
    assert confirmed.user == user


def test_all_spellings_of_an_address_are_one_account(api, mailoutbox):
    ask(api, "register", {"email": "Ada@Example.ORG", "password": PASSWORD})
    ask(api, "register", ADA)
    assert User.objects.get().email == ADDRESS
    assert [message.to for message in mailoutbox] == [[ADDRESS], [ADDRESS]]


@pytest.mark.parametrize("is_active", [True, False])
def test_the_owner_of_an_existing_account_gets_a_mail_and_the_account_stays_as_it_is(api, mailoutbox, is_active):
    user = UserFactory(email=ADDRESS, is_active=is_active)
    ask(api, "register", NEWER)
    assert "There is one already" in mailoutbox[0].body
    assert "token=" not in mailoutbox[0].body
    row = User.objects.get()
    assert (row.check_password(PASSWORD), row.is_active) == (True, is_active)
    assert events(SecurityEvent.Kind.REGISTRATION)[0].user == user


def test_registering_an_unconfirmed_address_again_replaces_the_password_and_the_link(api, token_in):
    ask(api, "register", ADA)
    older = token_in(ADDRESS)
    ask(api, "register", NEWER)
    assert problem(confirm_email(api, older)) == INVALID_LINK
    assert confirm_email(api, token_in(ADDRESS)).status_code == 204
    assert not can_sign_in(api, ADDRESS)
    assert can_sign_in(api, ADDRESS, NEW_PASSWORD)
    assert [event.reason for event in events(SecurityEvent.Kind.REGISTRATION)] == ["new address", "never confirmed"]


class TestNothingShowsWhetherThereIsAnAccount:
    ACCOUNTS = {
        "there": {},
        "off": {"is_active": False},
        "bare": {"password": None},
        "never": {"is_active": False, "email_confirmed_at": None},
    }

    @pytest.fixture
    def answers(self, api: Client, hashed: list[str]) -> dict[str, Any]:
        """The response, the statements and the hashing of a registration, for a new address and each kind of account.

        Without a comparison of all three, an attacker could still learn from the time which addresses have an account.
        """
        for name, fields in self.ACCOUNTS.items():
            UserFactory(email=f"{name}@example.org", **fields)
        found = {}
        for name in ("new", *self.ACCOUNTS):
            hashed.clear()
            answer, kinds = statements(api, "register", {"email": f"{name}@example.org", "password": PASSWORD})
            found[name] = (answer, kinds, list(hashed))
        return found

    @pytest.mark.parametrize("name", ACCOUNTS)
    def test_the_answer_the_statements_and_the_hashing_are_the_same(self, answers, name):
        assert answers[name] == answers["new"]
        assert answers["new"][2] == ["encode"]

    def test_every_address_gets_one_mail(self, answers, mailoutbox):
        assert [message.to for message in mailoutbox] == [[f"{name}@example.org"] for name in answers]

    @pytest.mark.parametrize("email", ["there@example.org", "new@example.org"])
    def test_a_bad_password_is_rejected_in_the_same_way(self, answers, api, email):
        response = ask(api, "register", {"email": email, "password": "password"})
        assert invalid_fields(response) == ["password"]
        assert len(response.json()["errors"]["password"]) == 1

    def test_signing_in_to_an_unconfirmed_account_looks_like_a_wrong_password(self, api):
        UserFactory(email=ADDRESS, is_active=False, email_confirmed_at=None)
        rejected = ask(api, "login", ADA)
        assert seen(rejected) == seen(ask(api, "login", ADA | {"email": "nobody@example.org"}))


INVALID = {
    "a password that is too short": (ADA | {"password": "short"}, "password"),
    "a password like the address": (ADA | {"password": "ada@example"}, "password"),
    "a password of digits": (ADA | {"password": "12345678"}, "password"),
    "a password that is too long": (ADA | {"password": "x" * 4097}, "password"),
    "an empty password": (ADA | {"password": ""}, "password"),
    "no password": ({"email": ADDRESS}, "password"),
    "a password that is a number": (ADA | {"password": 12345678901234567890}, "password"),
    "a password with a surrogate": (ADA | {"password": "a surrogate \ud800 is no text"}, "password"),
    "a text that is no address": (ADA | {"email": "no address"}, "email"),
    "an address that is too long": (ADA | {"email": f"{'a' * 250}@example.org"}, "email"),
    "an address with a NUL": (ADA | {"email": "a\0b@example.org"}, "email"),
    "an address with a mail header": (ADA | {"email": f"{ADDRESS}\nBcc: eve@example.org"}, "email"),
    "a list of addresses": (ADA | {"email": [ADDRESS]}, "email"),
    "no address": ({"password": PASSWORD}, "email"),
    "nothing": ({}, "email"),
}


@pytest.mark.parametrize(("data", "field"), INVALID.values(), ids=INVALID)
def test_an_invalid_field_is_named_and_no_account_is_made(api, mailoutbox, data, field):
    assert field in invalid_fields(ask(api, "register", data))
    assert not mailoutbox
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["register", "email/confirm", "password/reset", "password/reset/confirm"])
class TestEveryEndpointWithoutASignIn:
    def test_deeply_nested_json_is_invalid(self, api, path):
        nested = "[" * 800 + "]" * 800  # JSON that is nested deeper is malformed: Python's parser has its own limit.
        body = f'{{"email": {nested}, "password": {nested}, "token": {nested}}}'
        invalid_fields(api.post(f"/api/auth/{path}", body, content_type="application/json"))

    def test_a_request_from_another_origin_is_rejected(self, api, path, mailoutbox):
        assert problem(ask(api, path, ADA, **CROSS_SITE)) == CROSS_ORIGIN
        assert not mailoutbox

    def test_only_post_with_a_json_object_is_accepted(self, api, path):
        assert ask(api, path, "[]").status_code == 400
        assert api.post(f"/api/auth/{path}", "{", content_type="application/json").status_code == 400
        assert api.post(f"/api/auth/{path}", {"email": ADDRESS}).status_code == 415
        rejected = api.get(f"/api/auth/{path}")
        assert (rejected.status_code, rejected["Content-Type"]) == (405, "application/problem+json")


def test_a_trailing_slash_is_accepted(api):
    assert ask(api, "register/", ADA).status_code == 202


def test_the_cookies_of_an_expired_session_do_not_prevent_it(signed_in, clock):
    clock.forward(40 * DAY)
    assert ask(signed_in, "register", ADA).status_code == 202


class TestAnOldLink:
    """An administrator's decision is final: no link of before activates an account that was switched off."""

    @pytest.mark.parametrize("by", ["save", "update"])
    @pytest.mark.parametrize("switched_on_by", ["its link", "an administrator"])
    def test_does_not_activate_an_account_that_was_switched_off(self, api, token_in, by, switched_on_by):
        def switch(is_active: bool) -> None:
            user = User.objects.get()
            user.is_active = is_active
            if by == "save":
                user.save(update_fields=["is_active"])
            else:
                User.objects.filter(email=ADDRESS).update(is_active=is_active)

        ask(api, "register", ADA)
        token = token_in(ADDRESS)
        if switched_on_by == "its link":
            confirm_email(api, token)
        else:
            switch(True)
        switch(False)
        assert problem(confirm_email(api, token)) == INVALID_LINK
        assert not User.objects.get().is_active


def test_an_account_that_was_not_registered_counts_as_confirmed(db):
    for user in (
        User.objects.create_user("a@example.org", PASSWORD),
        User.objects.create_superuser("b@example.org", PASSWORD),
        User.objects.create(email="c@example.org"),
    ):
        assert user.email_confirmed_at, user


@pytest.mark.django_db(transaction=True)
def test_parallel_registrations_make_one_account(settings):
    settings.TOKENS = {"MAX_HASHINGS": 4}

    def register(number: int) -> int:
        try:
            return int(ask(Client(), "register", {"email": ADDRESS, "password": f"{PASSWORD} {number}"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(register, range(8))) == {202}
    assert User.objects.count() == 1
