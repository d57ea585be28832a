"""Registration: an address is confirmed by mail. `test_enumeration` tests that nothing shows which are taken."""

import pytest

from accounts import users
from accounts.models import Registration
from tests.accounts.steps import CROSS_SITE, NEW_PASSWORD, ask, can_sign_in, confirm, events, outcome
from tests.browsers import FIREFOX
from tests.factories import PASSWORD, User, UserFactory
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.org"
ADA = {"email": ADDRESS, "password": PASSWORD}
NEWER = {"email": ADDRESS, "password": NEW_PASSWORD}
BAD = {
    "a text that is no address": "no address",
    "an address that is too long": f"{'a' * 250}@example.org",
    "an address with a NUL": "a\0b@example.org",
    "an address with a mail header": f"{ADDRESS}\nBcc: eve@example.org",
    "an empty address": "",
}
BAD_JSON = {
    "an empty password": (ADA | {"password": ""}, "password"),
    "no password": ({"email": ADDRESS}, "password"),
    "a password that is a number": (ADA | {"password": 12345678901234567890}, "password"),
    "a password with a surrogate": (ADA | {"password": "a surrogate \ud800 is no text"}, "password"),
    "a list of addresses": (ADA | {"email": [ADDRESS]}, "email"),
    "no address": ({"password": PASSWORD}, "email"),
    "nothing": ({}, "email password"),
}


class TestRegistering:
    def test_there_is_no_account_until_its_address_is_confirmed(self, api, send, mailoutbox, token_in):
        response = send(api, "register", ADA)
        assert (outcome(response), len(response.cookies)) == ("done", 0)
        assert (Registration.objects.get().email, User.objects.exists()) == (ADDRESS, False)
        assert [message.to for message in mailoutbox] == [[ADDRESS]]
        assert not can_sign_in(api, ADDRESS)
        response = confirm(api, token_in(ADDRESS), send)
        assert (outcome(response), response.content) == ("done", b"")
        assert can_sign_in(api, ADDRESS)
        user = User.objects.get()
        assert (user.email, user.is_active, users.is_confirmed(user)) == (ADDRESS, True, True)
        assert not Registration.objects.filter(used_at=None).exists()
        (asked,), (confirmed,) = events(SecurityEvent.Kind.REGISTRATION), events(SecurityEvent.Kind.EMAIL_CONFIRMED)
        assert (asked.user, asked.reason, asked.user_agent) == (None, "new address", FIREFOX)
        assert confirmed.user == user

    @pytest.mark.parametrize("is_active", [True, False], ids=["active", "inactive"])
    def test_an_existing_account_is_not_changed_and_its_owner_gets_a_mail(self, api, mailoutbox, is_active):
        user = UserFactory(email=ADDRESS, is_active=is_active)
        ask(api, "register", NEWER)
        assert "It already has an account" in mailoutbox[0].body
        assert "token=" not in mailoutbox[0].body
        row = User.objects.get()
        assert (row.check_password(PASSWORD), row.is_active) == (True, is_active)
        assert events(SecurityEvent.Kind.REGISTRATION)[0].user == user

    def test_the_cookies_of_an_expired_session_do_not_prevent_it(self, signed_in, clock):
        clock.forward(40 * 86400)
        assert ask(signed_in, "register/", ADA).status_code == 202, "The trailing slash is accepted as well."

    @pytest.mark.parametrize("address", BAD.values(), ids=BAD)
    def test_an_invalid_address_is_reported_and_no_account_is_made(self, api, send, mailoutbox, address):
        assert outcome(send(api, "register", ADA | {"email": address})) == "400 invalid email"
        assert not mailoutbox
        assert not Registration.objects.exists()

    @pytest.mark.parametrize(("data", "fields"), BAD_JSON.values(), ids=BAD_JSON)
    def test_invalid_json_names_its_fields_and_makes_no_account(self, api, mailoutbox, data, fields):
        assert outcome(ask(api, "register", data)) == f"400 invalid {fields}"
        assert not mailoutbox
        assert not Registration.objects.exists()


@pytest.mark.parametrize("path", ["register", "email/confirm", "password/reset", "password/reset/confirm"])
class TestEveryEndpointWithoutASignIn:
    def test_deeply_nested_json_is_invalid(self, api, path):
        nested = "[" * 800 + "]" * 800  # JSON that is nested deeper is malformed: Python's parser has its own limit.
        body = f'{{"email": {nested}, "password": {nested}, "token": {nested}}}'
        response = api.post(f"/api/auth/{path}", body, content_type="application/json")
        assert outcome(response).startswith("400 invalid ")

    def test_a_request_from_another_origin_is_rejected(self, api, path, mailoutbox):
        assert outcome(ask(api, path, ADA, **CROSS_SITE)) == "403 cross_origin"
        assert not mailoutbox


def test_a_link_does_not_activate_an_account_that_was_switched_off(api, token_in):
    ask(api, "register", ADA)
    token = token_in(ADDRESS)
    confirm(api, token)
    User.objects.update(is_active=False)
    assert outcome(confirm(api, token)) == "400 link_used"
    assert not User.objects.get().is_active


def test_an_account_that_was_not_registered_counts_as_confirmed(db):
    for user in (
        User.objects.create_user("a@example.org", PASSWORD),
        User.objects.create_superuser("b@example.org", PASSWORD),
        User.objects.create(email="c@example.org"),
    ):
        assert user.email_confirmed_at, user
