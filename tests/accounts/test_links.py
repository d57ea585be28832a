"""The links in mails that confirm an address or reset a password: how long they are valid, and what makes them invalid.

The link that raises the alarm has other rules, see `test_alarm`.
"""

from functools import partial

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client

from accounts.links import InvalidLink, Purpose, make, read
from accounts.models import Registration
from tests.accounts.steps import DAY, HOUR, ask, confirm, outcome, reset_password, text, who
from tests.browsers import login
from tests.factories import PASSWORD, AdminFactory, User, UserFactory, link_token, pending
from tests.parallel import at_once
from tests.tokens.service.holders import Holder, change_password
from tests.tokens.web_steps import signed_in_as
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db

NEW = "new@example.org"
NONSENSE = {
    "a letter": "x",
    "three parts": "a.b.c",
    "only dots": "....",
    "letters with accents": "é.ü.ß",
    "the form of a token": "W10.1xYzA2.AAAA",
    "a long text": "x" * 1024,
}
LIFETIMES = {Purpose.REGISTRATION: DAY, Purpose.EMAIL_CHANGE: DAY, Purpose.PASSWORD_RESET: HOUR}
CHANGES = [Purpose.EMAIL_CHANGE, Purpose.PASSWORD_RESET]
OTHERS = {
    Purpose.REGISTRATION: [Purpose.PASSWORD_RESET, Purpose.ALARM],
    Purpose.EMAIL_CHANGE: [Purpose.PASSWORD_RESET, Purpose.ALARM],
    Purpose.PASSWORD_RESET: [Purpose.REGISTRATION, Purpose.EMAIL_CHANGE, Purpose.ALARM],
}
"""For each purpose, those whose links are rejected. Both links that confirm an address go to one endpoint."""
of_each_purpose = pytest.mark.parametrize("purpose", LIFETIMES)


@pytest.fixture
def owner(purpose, clock) -> User | Registration:
    """The user of the link, or its registration. A link to a user who is there would confirm nothing."""
    return pending("ada@example.org") if purpose is Purpose.REGISTRATION else UserFactory()


@pytest.fixture
def token(purpose, owner) -> str:
    """A valid token for the purpose. An invalid one would be refused for another reason than the tested one."""
    if purpose is Purpose.REGISTRATION:
        return make(Purpose.REGISTRATION, owner.pk)
    return link_token(purpose, owner, NEW if purpose is Purpose.EMAIL_CHANGE else "")


def use(client, purpose, token, send=ask) -> str:
    """Send a token to the API or the page that accepts links for this purpose. Return the outcome."""
    return outcome((reset_password if purpose is Purpose.PASSWORD_RESET else confirm)(client, token, send=send))


def assert_rejected(client, purpose, token, send=ask):
    """Use a link, and check that it is rejected like every invalid link, and changes no user."""
    before = list(User.objects.values())
    assert use(client, purpose, token, send) == "400 invalid_token"
    assert list(User.objects.values()) == before


@of_each_purpose
class TestALink:
    def test_is_valid_once(self, api, purpose, token, send):
        assert use(api, purpose, token, send) == "done"
        before = list(User.objects.values())
        assert use(api, purpose, token, send) == "400 link_used"
        assert list(User.objects.values()) == before
        assert who(api) == 401

    def test_is_valid_until_its_lifetime_ends(self, api, purpose, token, clock):
        clock.forward(LIFETIMES[purpose] - 1)
        assert use(api, purpose, token) == "done"

    def test_is_invalid_after_its_lifetime(self, api, purpose, token, clock):
        clock.forward(LIFETIMES[purpose] + 1)
        assert_rejected(api, purpose, token)

    def test_stays_valid_under_a_new_secret_key_while_the_old_one_is_a_fallback(self, api, purpose, token, settings):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
        assert use(api, purpose, token) == "done"

    def test_is_invalid_at_another_deployment_with_the_same_secret_key(self, api, purpose, token, settings):
        settings.ORIGIN = "https://staging.example.org"
        with pytest.raises(InvalidLink):
            read(token, purpose)

    @pytest.mark.parametrize("place", [0, 5, 10, -1, -20, -30, -45], ids="at place {}".format)
    def test_is_invalid_if_a_character_is_changed(self, api, purpose, token, place):
        letters = list(token)
        # The last character of a signature has spare bits: "A" and "B" may mean the same there, "A" and "z" do not.
        letters[place] = "A" if letters[place] not in "ABCD" else "z"
        assert_rejected(api, purpose, "".join(letters))

    @pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
    def test_that_is_nonsense_is_rejected_without_a_query(self, api, purpose, nonsense, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert use(api, purpose, nonsense) == "400 invalid_token"

    def test_is_invalid_after_the_account_was_deleted(self, api, purpose, token, owner):
        owner.delete()
        assert_rejected(api, purpose, token)


def rehash(user):
    """Let Django replace the hash of the same password, as after a change of PASSWORD_HASHERS."""
    User.objects.filter(pk=user.pk).update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))


ENDS = {
    "another password": change_password,
    "another address": lambda user: User.objects.filter(pk=user.pk).update(email="newer@example.org"),
    "a deactivation": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "the alarm": lambda user: Client().post("/alarm", {"token": link_token(Purpose.ALARM, user)}),
    "a revocation by a command": lambda user: call_command("revoke_sessions", "--user", user.email, "--no-input"),
    "a revocation by staff": lambda user: by_staff(user),
}
"""What ends the links that change an account, whether the user is signed in or not."""


def by_staff(user):
    staff = signed_in_as(AdminFactory())
    assert staff.post(f"/admin/tokens/refreshtoken/user/{user.pk}/revoke/").status_code == 302


@pytest.mark.parametrize("is_signed_in", [True, False], ids=["signed in", "not signed in"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("purpose", CHANGES)
def test_a_link_is_invalid_after(api, purpose, end, is_signed_in, token, owner, capsys):
    if is_signed_in:
        login(Client(), owner)
    end(owner)
    assert_rejected(api, purpose, token)


@pytest.mark.parametrize("purpose", CHANGES)
def test_a_sign_in_and_another_hash_of_the_same_password_do_not_end_a_link(api, purpose, owner, settings):
    """A thief who knows the password signs in again and again, and the owner must get a new one all the same."""
    rehash(owner)
    owner.refresh_from_db()
    token = link_token(purpose, owner, NEW if purpose is Purpose.EMAIL_CHANGE else "")
    before = owner.password
    login(Client(), owner)
    owner.refresh_from_db()
    assert (owner.password != before, bool(owner.last_login)) == (True, True)
    assert use(api, purpose, token) == "done"


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("purpose", CHANGES)
def test_a_double_click_does_it_once_and_tells_the_second_what_the_first_has_done(purpose, token, owner):
    answers = at_once(*[lambda: use(Client(), purpose, token)] * 2)
    assert sorted(answers) == ["400 link_used", "done"]


def test_the_page_of_a_link_that_was_used_says_so_before_its_button_is_pressed(api, user):
    token = link_token(Purpose.PASSWORD_RESET, user)
    assert "This link has been used already." not in text(
        api.get("/password/reset/confirm", {"token": token}, follow=True)
    )
    reset_password(api, token)
    assert "It has set a new password" in text(api.get("/password/reset/confirm", {"token": token}, follow=True))


def test_the_problem_says_what_the_link_did(api, user):
    token = link_token(Purpose.EMAIL_CHANGE, user, NEW)
    confirm(api, token)
    assert "It has confirmed the new e-mail address." in confirm(api, token).json()["detail"]


@pytest.mark.parametrize(("purpose", "other"), [(purpose, other) for purpose in OTHERS for other in OTHERS[purpose]])
def test_a_link_for_another_purpose_is_rejected(api, purpose, other, user):
    token = link_token(other, user, NEW)
    assert_rejected(api, purpose, token)
    with pytest.raises(InvalidLink):  # It is rejected before its user is read.
        read(token, purpose)


def test_a_link_that_confirms_a_registration_does_not_change_the_address(api, user):
    """The endpoint accepts both kinds of links. This kind confirms the address that the account has."""
    confirm(api, make(Purpose.REGISTRATION, user.pk))
    assert User.objects.get().email == user.email


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("other", ["alarm", "reset"])
def test_a_revocation_by_a_command_and_the_users_own_do_not_deadlock(other, capsys):
    for _ in range(8):
        user = UserFactory()
        for _ in range(3):
            Holder(user)
        alarm, link = (link_token(purpose, user) for purpose in (Purpose.ALARM, Purpose.PASSWORD_RESET))
        press = partial(Client(raise_request_exception=False).post, "/alarm", {"token": alarm})
        own = press if other == "alarm" else partial(reset_password, Client(), link)
        revoke = partial(call_command, "revoke_sessions", "--user", user.email, "--no-input")
        (answer,) = filter(None, at_once(own, revoke))
        assert answer.status_code in {200, 204, 400}
    assert not RefreshToken.objects.live().exists()
