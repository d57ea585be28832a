"""Users: the login is an e-mail address in lower case, and switching a user off always sends ``post_save``.

At the end there are users in a second database.
"""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import connections
from django.db.models.signals import post_save

from accounts.models import CanonicalAddress
from tests.factories import PASSWORD, User, UserFactory

pytestmark = pytest.mark.django_db


class TestAnAddress:
    def test_is_stored_in_lower_case_and_the_object_has_the_value_of_the_row(self):
        user = User.objects.create_user("Ada.Lovelace@Example.ORG", PASSWORD)
        assert list(User.objects.values_list("email", flat=True)) == [user.email] == ["ada.lovelace@example.org"]
        user.email = "COUNTESS@example.org"
        user.save()
        assert list(User.objects.values_list("email", flat=True)) == [user.email] == ["countess@example.org"]

    @pytest.mark.parametrize("spelling", ["ada@example.org", "Ada@example.org", "ADA@EXAMPLE.ORG"])
    def test_is_found_in_any_spelling(self, spelling):
        user = User.objects.create_user("Ada@Example.org", PASSWORD)
        assert User.objects.get(email=spelling) == user
        assert User.objects.get(email__in=[spelling]) == user
        assert User.objects.get_by_natural_key(spelling) == user
        assert authenticate(username=spelling, password=PASSWORD) == user

    @pytest.mark.parametrize("address", ["", None], ids=["an empty one", "none"])
    def test_is_required(self, address):
        with pytest.raises(ValueError, match="needs an e-mail address"):
            User.objects.create_user(address, PASSWORD)
        assert not User.objects.exists()


class TestANewUser:
    def test_without_a_password_cannot_sign_in_with_one(self):
        user = User.objects.create_user("ada@example.org")
        assert not user.has_usable_password()
        for password in ("", "None", user.password):
            assert authenticate(username="ada@example.org", password=password) is None

    def test_is_active_and_not_an_administrator(self, user):
        assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
        assert str(user) == user.email == user.get_username()

    def test_that_is_a_superuser_has_all_permissions(self):
        user = User.objects.create_superuser("root@example.org", PASSWORD)
        assert (user.is_staff, user.is_superuser, user.has_perm("tokens.revoke_refreshtoken")) == (True, True, True)
        assert not User.objects.create_superuser("half@example.org", is_staff=False).is_staff


class TestAnUpdate:
    """``User.objects.update()``, for which Django itself sends no signal."""

    @pytest.fixture
    def users(self) -> list[User]:
        """Three users, of which a wrong filter could change too many."""
        return [UserFactory() for _ in range(3)]

    @pytest.fixture
    def signals(self, users):
        """The ``post_save`` signals of users. Without one, other apps would not revoke what the user holds."""
        received = []

        def receive(**signal):
            received.append(signal)

        post_save.connect(receive, sender=User)
        yield received
        post_save.disconnect(receive, sender=User)

    def test_that_switches_users_off_sends_a_signal_for_each_of_them(self, users, signals):
        one, two, other = users
        assert User.objects.filter(pk__in=[one.pk, two.pk]).update(is_active=False) == 2
        assert {signal["instance"].pk for signal in signals} == {one.pk, two.pk}
        for signal in signals:
            assert not signal["instance"].is_active
            assert (signal["created"], signal["raw"], signal["using"]) == (False, False, "default")
            assert signal["update_fields"] == {"is_active"}
        other.refresh_from_db()
        assert other.is_active

    def test_sends_signals_for_users_that_no_longer_match_its_filter(self, users, signals):
        User.objects.filter(is_active=True).update(is_active=False)
        assert {signal["instance"].pk for signal in signals} == {user.pk for user in users}

    @pytest.mark.parametrize("is_active", [True, False], ids=["activated", "deactivated"])
    def test_loads_only_users_who_change(self, signals, is_active):
        changed, other = UserFactory(is_active=not is_active), UserFactory(is_active=is_active)
        signals.clear()
        assert User.objects.filter(pk__in=[changed.pk, other.pk]).update(is_active=is_active) == 2
        assert [(one["instance"].pk, one["instance"].is_active) for one in signals] == [(changed.pk, is_active)]

    def test_of_another_field_sends_none(self, users, signals):
        assert User.objects.filter(pk=users[0].pk).update(is_staff=True) == 1
        assert signals == []


@pytest.fixture
def other() -> Iterator[str]:
    """A second database with the tables of users and addresses. In one database ``using=`` makes no difference."""
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["other"] = connections.configure_settings({**settings.DATABASES, "other": config})["other"]
    connection = connections["other"]
    # Django lets a test connect only to databases that existed when it began.
    connection.ensure_connection = lambda: connection.connect() if connection.connection is None else None
    with connection.schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(CanonicalAddress)
    yield "other"
    connection.close()
    del connections["other"], connections.settings["other"]


def owner(alias: str, address: str) -> object:
    """Return the key of the user to whom the table of canonical addresses sends this one."""
    return CanonicalAddress.objects.using(alias).get(address=address).user_id


def test_a_user_who_is_copied_to_another_database_is_found_there_by_every_spelling(user, other):
    address = CanonicalAddress.objects.get(user=user).address
    user.save(using=other)
    assert owner(other, address) == user.pk
    assert owner("default", address) == user.pk


def test_a_new_address_is_compared_to_the_one_in_the_database_that_is_written(user, other):
    user.save(using=other)
    user.email = "new@example.org"
    user.save(using=other)
    assert owner(other, "new@example.org") == user.pk
    assert not CanonicalAddress.objects.filter(address="new@example.org").exists()


def test_an_update_that_changes_nobody_loads_nobody(django_assert_num_queries):
    UserFactory()
    with django_assert_num_queries(4) as captured:
        User.objects.update(is_active=True)
    verbs = [query["sql"].split()[0] for query in captured]
    assert verbs == ["SAVEPOINT", "SELECT", "UPDATE", "RELEASE"]
