"""Users with a user name and an e-mail address, which need not be unique: Django's own user model."""

import re
from functools import partial

import pytest
from django.test import Client

from accounts.links import Purpose, make
from accounts.models import Registration
from accounts.service.registration import MAX_TRIES
from tests.accounts.steps import (
    API,
    NEW_PASSWORD,
    ask,
    confirm,
    fill_in,
    outcome,
    problem,
    reset_password,
    statements,
    text,
)
from tests.browsers import browser_at, login, post
from tests.factories import PASSWORD, AdminFactory, User, UserFactory, link_token, pending
from tests.parallel import at_once
from tests.tokens.api.test_schema import described
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db

ADDRESS, SHARED = "ada@example.org", "both@example.org"
ADA = {"username": "ada", "email": ADDRESS, "password": PASSWORD}


@pytest.fixture
def ada(db):
    """A user whose name is not her address. With the names of the factory a mix-up of the two could go unnoticed."""
    return UserFactory(username="ada", email=ADDRESS)


@pytest.fixture
def two(db):
    """Two users of one address, which Django's own model allows. With one, a sign-in of the first match would pass."""
    return [UserFactory(username="first", email=SHARED), UserFactory(username="second", email=SHARED.upper())]


def sign_in(client, name, password=PASSWORD) -> int:
    return int(post(client, f"{API}login", {"email": name, "password": password}).status_code)


def sign_in_on_the_page(client, name, password=PASSWORD) -> int:
    status = client.post("/sign-in", {"username": name, "password": password}).status_code
    return {302: 200, 200: 401}[status]


WAYS = pytest.mark.parametrize("enter", [sign_in, sign_in_on_the_page], ids=["API", "page"])


class TestASignIn:
    @WAYS
    @pytest.mark.parametrize(
        "name",
        ["ada", ADDRESS, "ADA@Example.org", "ａda@example.org"],
        ids=["the name", "the address", "the address in capitals", "the address with a wide letter"],
    )
    def test_takes_the_user_name_or_the_address_in_any_spelling(self, api, ada, enter, name):
        assert enter(api, name) == 200
        assert RefreshToken.objects.get().user == ada

    @WAYS
    @pytest.mark.parametrize(
        "name",
        ["ad", "adA", "ada@example.com", "mıke@example.org", "a_a@example.org", "%"],
        ids=["a part of it", "another case", "another domain", "a dotless i", "an underscore", "a per cent sign"],
    )
    def test_takes_no_other_name(self, api, ada, enter, name):
        UserFactory(username="mike", email="mike@example.org")
        assert enter(api, name) == 401

    @WAYS
    def test_with_an_address_that_two_share_is_nobodys_and_their_names_work(self, api, another, two, enter):
        assert [enter(api, name) for name in (SHARED, SHARED.upper())] == [401, 401]
        assert [enter(another(), user.username) for user in two] == [200, 200]

    @WAYS
    def test_with_the_name_of_a_user_that_is_anothers_address_is_the_named_users(self, api, ada, enter):
        other = UserFactory(username=ADDRESS, password=NEW_PASSWORD)
        assert enter(api, ADDRESS) == 401
        assert enter(api, ADDRESS, NEW_PASSWORD) == 200
        assert RefreshToken.objects.get().user == other

    def test_takes_the_same_statements_and_answers_the_same_whatever_there_is(self, api, ada, two, hashed):
        names = [ADDRESS, SHARED, "nobody@example.org"]
        answers = []
        for name in names:
            hashed.clear()
            found = statements(Client(), "login", {"email": name, "password": "a wrong password"})
            answers.append((*found, len(hashed)))
        assert answers[0] == answers[1] == answers[2]


class TestTheFieldOfTheLogin:
    @pytest.mark.parametrize("field", ["username", "email"])
    @pytest.mark.parametrize("name", ["ada", ADDRESS])
    def test_has_the_name_of_the_models_field_and_email_is_taken_too(self, api, ada, field, name):
        assert ask(api, "login", {field: name, "password": PASSWORD}).json()["user"]["email"] == ADDRESS

    def test_is_the_models_own_if_both_are_sent(self, api, ada):
        other = UserFactory(username="eve", email="eve@example.org")
        response = ask(api, "login", {"username": "eve", "email": ADDRESS, "password": PASSWORD})
        assert response.json()["user"]["id"] == str(other.pk)

    def test_is_named_if_it_is_missing_and_the_error_names_what_signs_in(self, api, ada):
        missing = ask(api, "login", {"password": PASSWORD})
        assert problem(missing) == "400 invalid username"
        wrong = ask(api, "login", {"username": "ada", "password": "another"}).json()
        assert wrong["detail"] == "There is no active account with this user name or e-mail address and password."
        page = api.post("/sign-in", {"username": "ada", "password": "another"})
        assert wrong["detail"] in text(page)
        assert "Username or e-mail address" in text(page)
        assert 'type="email"' not in text(page)

    def test_is_in_the_description_of_the_api(self):
        login = described()["components"]["schemas"]["LoginInputRequest"]
        assert {"username", "email"} < set(login["properties"])
        assert login["required"] == ["password"]
        assert "One of `username` and `email` is required." in login["properties"]["username"]["description"]
        registration = described()["components"]["schemas"]["RegistrationInputRequest"]
        assert set(registration["required"]) == {"username", "email", "password"}


class TestAResetOfThePassword:
    def test_is_sent_to_the_stored_address(self, api, ada, mailoutbox):
        ask(api, "password/reset", {"email": "ADA@EXAMPLE.org"})
        assert [message.to for message in mailoutbox] == [[ADDRESS]]

    def test_of_an_address_that_two_share_sends_nothing_and_takes_the_same_statements(self, api, ada, two, mailoutbox):
        answers = [statements(api, "password/reset", {"email": email}) for email in (SHARED, "nobody@example.org")]
        assert answers[0] == answers[1]
        assert not mailoutbox

    def test_lets_its_owner_sign_in_by_either_name_while_others_guess(self, ada, throttled, clock, token_in):
        here = browser_at("203.0.113.7")
        ask(here, "password/reset", {"email": ADDRESS})
        assert reset_password(here, token_in(ADDRESS)).status_code == 204
        for name in ("ada", ADDRESS):
            for number in range(11):
                last = sign_in(browser_at(f"198.51.{number}.7"), name, "a guess")
            assert last == 429
            assert sign_in(browser_at("203.0.113.8"), name, NEW_PASSWORD) == 200


class TestARegistration:
    def test_without_a_user_name_does_not_say_that_the_address_is_not_read(self, api):
        answer = post(api, "/api/auth/register", {"email": ADDRESS, "password": PASSWORD})
        assert answer.json()["errors"] == {"username": ["This field is required."]}

    def test_makes_an_account_with_the_name_and_the_address(self, api, send, token_in):
        assert outcome(send(api, "register", ADA)) == "done"
        assert outcome(confirm(api, token_in(ADDRESS), send)) == "done"
        user = User.objects.get()
        assert (user.username, user.email, user.check_password(PASSWORD)) == ("ada", ADDRESS, True)

    @pytest.mark.parametrize(
        "name",
        ["", "with a blank", "x" * 151, "eve@example.org", "a\0b"],
        ids=["none", "a blank", "too long", "an address of somebody else", "a NUL"],
    )
    def test_refuses_a_name_that_is_not_valid_or_an_address_of_somebody_else(self, api, send, name):
        assert outcome(send(api, "register", ADA | {"username": name})) == "400 invalid username"
        assert not Registration.objects.exists()

    def test_takes_ones_own_address_for_a_name(self, api, send):
        assert outcome(send(api, "register", ADA | {"username": ADDRESS})) == "done"

    def test_does_not_tell_that_a_name_is_taken(self, api, mailoutbox):
        UserFactory(username="ada")
        answers = [statements(Client(), "register", ADA | {"username": name}) for name in ("ada", "eve")]
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("spelling", ["ada", "ADA"])
    def test_tells_the_owner_of_the_mailbox_that_the_name_is_taken_who_chooses_another(self, api, send, spelling):
        UserFactory(username=spelling)
        token = make(Purpose.REGISTRATION, pending(ADDRESS).pk)
        assert outcome(confirm(api, token, send)) == "400 invalid username"
        other = {"token": token, "password": PASSWORD, "username": "ada.l"}
        assert outcome(send(api, "email/confirm", other)) == "done"
        assert set(User.objects.values_list("username", "email")) >= {("ada.l", ADDRESS)}

    def test_shows_the_name_on_the_page_that_confirms_it(self, api):
        token = make(Purpose.REGISTRATION, pending(ADDRESS).pk)
        page = api.get("/email/confirm", {"token": token}, follow=True).content.decode()
        assert re.search(r'name="username" value="ada"', page)

    def test_tells_of_ten_names_whether_they_are_taken(self, api):
        UserFactory(username="ada")
        token = make(Purpose.REGISTRATION, pending(ADDRESS).pk)
        answers = [problem(confirm(api, token)) for _ in range(MAX_TRIES + 1)]
        assert answers == ["400 invalid username"] * MAX_TRIES + ["400 invalid_token"]

    def test_of_an_address_that_has_an_account_or_several_makes_none(self, api, send, ada, two, mailoutbox):
        for email in (ADDRESS, SHARED):
            assert outcome(send(api, "register", {"username": "new", "email": email, "password": PASSWORD})) == "done"
        assert [message.to for message in mailoutbox] == [[ADDRESS], [SHARED]]
        assert all("already has an account" in message.body for message in mailoutbox)
        tokens = [make(Purpose.REGISTRATION, pending(email, username="new").pk) for email in (ADDRESS, SHARED)]
        assert [outcome(confirm(api, token, send)) for token in tokens] == ["400 invalid_token"] * 2

    @pytest.mark.django_db(transaction=True)
    def test_of_one_name_by_several_at_once_makes_one_account(self, settings):
        settings.TOKENS = {"MAX_HASHINGS": 8}
        tokens = [make(Purpose.REGISTRATION, pending(f"{n}@example.org", username="ada").pk) for n in range(8)]

        answers = at_once(*(partial(confirm, Client(), token) for token in tokens))
        assert sorted(problem(answer) if answer.content else "done" for answer in answers) == [
            *["400 invalid username"] * 7,
            "done",
        ]
        assert User.objects.get().username == "ada"


class TestANewAddress:
    @pytest.mark.django_db(transaction=True)
    def test_that_two_ask_for_is_given_to_one_of_them(self, ada, two):
        tokens = [link_token(Purpose.EMAIL_CHANGE, user, "new@example.org") for user in (ada, *two)]

        answers = at_once(*(partial(fill_in, Client(), "email/confirm", {"token": token}) for token in tokens))
        assert sorted(map(outcome, answers)) == ["400 invalid_token"] * 2 + ["done"]
        assert User.objects.filter(email="new@example.org").count() == 1


@pytest.mark.parametrize("may", [True, False], ids=["by a superuser", "not by any other member of the staff"])
def test_the_admin_revokes_all_sessions_from_the_page_of_djangos_own_user_admin(api, another, ada, may):
    boss = AdminFactory(is_superuser=may)
    login(api, boss)
    login(another(), ada)
    page = api.get(f"/admin/auth/user/{ada.pk}/change/").content.decode()
    links = re.findall(r'<a href="([^"]+)">Revoke all sessions</a>', page)
    assert bool(links) is may
    if may:
        assert "/history/" in page, "The project's own links stay."
        assert api.post(links[0]).status_code == 302
        assert not RefreshToken.objects.live().filter(user=ada).exists()
        assert "Revoke all sessions" not in api.get("/admin/auth/user/add/").content.decode()
