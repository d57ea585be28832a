"""The links in mails that confirm an address or reset a password: how long they are valid, and what makes them invalid.

The link that raises the alarm has other rules, see `test_alarm`.
"""

import pytest

from accounts.links import InvalidLink, Purpose, make, make_for_registration, read
from accounts.models import Registration, User
from tests.accounts.steps import DAY, HOUR, ask, confirm, outcome, reset_password
from tests.factories import UserFactory, pending

pytestmark = pytest.mark.django_db

NEW = "new@example.org"
LIFETIMES = {Purpose.REGISTRATION: DAY, Purpose.EMAIL_CHANGE: DAY, Purpose.PASSWORD_RESET: HOUR}
COVERED = {
    Purpose.EMAIL_CHANGE: ["password", "email", "is_active"],
    Purpose.PASSWORD_RESET: ["password", "email", "is_active", "last_login"],
}
"""The fields of a user whose change makes a link invalid."""
CHANGED = {"password": "new", "email": "newer@example.org", "is_active": False, "last_login": "2030-01-02T00:00:00Z"}
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
    if purpose is Purpose.REGISTRATION:
        return make_for_registration(owner.pk)
    return make(purpose, owner, NEW if purpose is Purpose.EMAIL_CHANGE else "")


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
        assert_rejected(api, purpose, token, send)

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

    @pytest.mark.parametrize("place", [0, 5, 10, -1, -20, -30, -45])
    def test_is_invalid_if_a_character_is_changed(self, api, purpose, token, place):
        letters = list(token)
        # The last character of a signature has spare bits: "A" and "B" may mean the same there, "A" and "z" do not.
        letters[place] = "A" if letters[place] not in "ABCD" else "z"
        assert_rejected(api, purpose, "".join(letters))

    @pytest.mark.parametrize("nonsense", ["x", "a.b.c", "....", "é.ü.ß", "W10.1xYzA2.AAAA", "x" * 1024])
    def test_that_is_nonsense_is_rejected_without_a_query(self, api, purpose, nonsense, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert use(api, purpose, nonsense) == "400 invalid_token"

    def test_is_invalid_after_the_account_was_deleted(self, api, purpose, token, owner):
        owner.delete()
        assert_rejected(api, purpose, token)


@pytest.mark.parametrize(("purpose", "field"), [(purpose, field) for purpose in COVERED for field in COVERED[purpose]])
def test_a_link_is_invalid_after_a_change_of_the_account(api, purpose, field, token, owner):
    User.objects.filter(pk=owner.pk).update(**{field: CHANGED[field]})
    assert_rejected(api, purpose, token)


@pytest.mark.parametrize(("purpose", "other"), [(purpose, other) for purpose in OTHERS for other in OTHERS[purpose]])
def test_a_link_for_another_purpose_is_rejected(api, purpose, other, user):
    token = make(other, user, NEW)
    assert_rejected(api, purpose, token)
    with pytest.raises(InvalidLink):  # Already before its user is looked at.
        read(token, purpose)


def test_a_link_that_confirms_a_registration_does_not_change_the_address(api, user):
    """The endpoint accepts both kinds of links. This kind confirms the address that the account has."""
    confirm(api, make(Purpose.REGISTRATION, user, NEW))
    assert User.objects.get().email == user.email
