"""A change of the address, a first password and the deletion need the strongest factor of the account, used lately.

A password is not enough for people who have an authenticator app: somebody who knows it, and has stolen the session,
would take the account over by another address.
"""

import pytest

from tests.browsers import REFRESH, post
from tests.factories import PASSWORD, User, UserFactory
from tests.factors.steps import code, later, set_up
from tokens.models import SecurityEvent

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.long]

AGAIN, NEW = "/api/auth/reauthenticate", "new@example.org"
FIRST = "a first password that nobody guesses"


class Person:
    """A user with an app that was set up an hour ago, and a browser."""

    def __init__(self, client, user, clock):
        self.client, self.user, self.clock = client, user, clock
        self.secret, self.codes = set_up(client, clock.now)
        later(client, clock)

    @property
    def right(self):
        return code(self.secret, self.clock.now)


@pytest.fixture
def person(signed_in, user, clock):
    """A user with an app. Without the app, a change that takes the password for enough would go unnoticed."""
    return Person(signed_in, user, clock)


@pytest.fixture
def bare(client, clock):
    """Somebody without a password."""
    user = UserFactory(password=None)
    client.force_login(user)
    client.get("/devices")
    return Person(client, user, clock)


def change_address(person, **body):
    return post(person.client, "/api/auth/email/change", {"email": NEW, **body})


def delete(person, **body):
    return person.client.delete("/api/auth/me", body, content_type="application/json")


def nothing_happened(person):
    return User.objects.filter(pk=person.user.pk).exists() and not SecurityEvent.objects.filter(kind="email_change")


each = pytest.mark.parametrize("change", [change_address, delete])


class TestByTheApi:
    @each
    def test_a_password_is_not_enough(self, person, change):
        for body in ({}, {"current_password": PASSWORD}):
            answer = change(person, **body)
            assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
            assert answer.json()["offered"] == ["totp", "recovery_code"]
        post(person.client, AGAIN, {"password": PASSWORD})
        assert change(person).status_code == 403
        assert nothing_happened(person)

    @each
    def test_a_code_in_the_request_is(self, person, change):
        assert change(person, method="totp", answer=person.right).status_code in {202, 204}
        assert not nothing_happened(person)

    @each
    def test_a_code_just_before_is_and_there_is_no_second_prompt(self, person, change):
        post(person.client, AGAIN, {"method": "recovery_code", "answer": person.codes[0]})
        assert change(person).status_code in {202, 204}

    def test_a_first_password_is_a_factor_too(self, bare):
        given = {"new_password": FIRST}
        post(bare.client, AGAIN, {"method": "totp", "answer": bare.right})
        later(bare.client, bare.clock)
        assert post(bare.client, "/api/auth/password/change", given).status_code == 403
        post(bare.client, AGAIN, {"method": "totp", "answer": bare.right})
        assert post(bare.client, "/api/auth/password/change", given).status_code == 204

    def test_a_refused_change_counts_no_mail(self, person, throttled):
        throttled(register_account="1/h", register_network="1/h")
        for _ in range(3):
            assert change_address(person, current_password=PASSWORD).status_code == 403
        assert change_address(person, method="totp", answer=person.right).status_code == 202


class TestOnPages:
    @pytest.mark.parametrize(
        ("path", "given", "done"),
        [("/email/change", {"email": NEW}, "/mail-sent"), ("/account/delete", {"sure": "on"}, "/account/deleted")],
        ids=["the address", "the deletion"],
    )
    def test_the_form_asks_for_a_code(self, person, path, given, done):
        page = person.client.get(path).content.decode()
        assert 'value="totp"' in page
        assert 'value="password"' not in page
        for wrong in ({}, {"current_password": PASSWORD}, {"method": "totp", "current_password": "000000"}):
            assert person.client.post(path, {**given, **wrong}).status_code == 200
        assert nothing_happened(person)
        right = {"method": "totp", "current_password": person.right}
        assert person.client.post(path, {**given, **right}).headers["Location"] == done

    def test_the_next_page_does_not_ask_for_another_one(self, person):
        right = {"email": NEW, "method": "totp", "current_password": person.right}
        assert person.client.post("/email/change", right).status_code == 302
        assert "current_password" not in person.client.get("/email/change").content.decode()
        assert person.client.post("/account/delete", {"sure": "on"}).headers["Location"] == "/account/deleted"

    def test_a_first_password(self, bare):
        given = {"password1": FIRST, "password2": FIRST}
        again = bare.client.get("/password/change").headers["Location"]
        assert bare.client.post("/password/change", given).headers["Location"] == again
        right = {"method": "totp", "current_password": bare.right}
        assert bare.client.post(again, right).headers["Location"] == "/password/change"
        assert "current_password" not in bare.client.get("/password/change").content.decode()
        assert bare.client.post("/password/change", given).headers["Location"] == "/password/changed"

    def test_a_first_password_with_an_access_token_alone(self, bare):
        given = {"password1": FIRST, "password2": FIRST}
        del bare.client.cookies[REFRESH]
        assert 'value="totp"' in bare.client.get("/password/change").content.decode()
        assert bare.client.post("/password/change", given).status_code == 200
        right = {"method": "totp", "current_password": bare.right}
        assert bare.client.post("/password/change", {**given, **right}).status_code == 302

    def test_whoever_has_no_app_is_not_asked(self, signed_in):
        assert "current_password" not in signed_in.get("/email/change").content.decode()
        assert signed_in.post("/email/change", {"email": NEW}).headers["Location"] == "/mail-sent"
