"""Users: an e-mail address is the login, in lower case, and switching somebody off is never silent."""

from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save

from accounts.models import User
from tests.browsers import login
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Any:
    """What receivers of ``post_save`` are told of users: another app must hear of somebody who was switched off."""
    heard: list[Any] = []

    def listen(**signal: Any) -> None:
        heard.append(signal)

    post_save.connect(listen, sender=User)
    yield heard
    post_save.disconnect(listen, sender=User)


def test_an_address_is_stored_in_lower_case():
    User.objects.create_user("Ada.Lovelace@Example.ORG", PASSWORD)
    assert list(User.objects.values_list("email", flat=True)) == ["ada.lovelace@example.org"]


def test_the_object_in_hand_says_what_the_row_says():
    user = User.objects.create_user("Ada@Example.org")
    assert user.email == "ada@example.org"
    user.email = "COUNTESS@example.org"
    user.save()
    assert user.email == "countess@example.org"


@pytest.mark.parametrize("spelling", ["ada@example.org", "Ada@example.org", "ADA@EXAMPLE.ORG"])
def test_an_address_is_found_in_any_spelling(spelling):
    user = User.objects.create_user("Ada@Example.org", PASSWORD)
    assert User.objects.get(email=spelling) == user
    assert User.objects.get(email__in=[spelling]) == user
    assert User.objects.get_by_natural_key(spelling) == user
    assert authenticate(username=spelling, password=PASSWORD) == user


def test_two_spellings_are_one_account():
    User.objects.create_user("ada@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("ADA@example.org")
    with pytest.raises(ValidationError, match="There is an account with this address"):
        User(email="Ada@Example.org", password="!").full_clean()
    other = User.objects.create_user("other@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=other.pk).update(email="ADA@example.org")


@pytest.mark.parametrize("address", ["", None])
def test_a_user_needs_an_address(address):
    with pytest.raises(ValueError, match="needs an e-mail address"):
        User.objects.create_user(address, PASSWORD)
    assert not User.objects.exists()


@pytest.mark.parametrize("address", ["ada", "ada@", "@example.org", "a b@example.org", "ada@example.org\n", "x" * 255])
def test_what_is_no_address_does_not_pass_validation(address):
    with pytest.raises(ValidationError):
        User(email=address, password="!").full_clean()


def test_without_a_password_nobody_can_sign_in_with_one():
    user = User.objects.create_user("ada@example.org")
    assert not user.has_usable_password()
    for password in ("", "None", user.password):
        assert authenticate(username="ada@example.org", password=password) is None


def test_a_user_is_active_and_may_do_nothing_special():
    user = UserFactory()
    assert user.is_active
    assert not user.is_staff
    assert not user.is_superuser
    assert str(user) == user.email == user.get_username()


def test_a_superuser_may_do_everything():
    user = User.objects.create_superuser("root@example.org", PASSWORD)
    assert (user.is_staff, user.is_superuser, user.has_perm("tokens.revoke_refreshtoken")) == (True, True, True)
    assert not User.objects.create_superuser("half@example.org", is_staff=False).is_staff


def test_the_manager_tells_who_was_switched_off_and_nobody_else(told):
    one, two, other = (UserFactory() for _ in range(3))
    told.clear()
    assert User.objects.filter(pk__in=[one.pk, two.pk]).update(is_active=False) == 2
    assert {signal["instance"].pk for signal in told} == {one.pk, two.pk}
    for signal in told:
        assert not signal["instance"].is_active
        assert (signal["created"], signal["raw"], signal["using"]) == (False, False, "default")
        assert signal["update_fields"] == {"is_active"}
    other.refresh_from_db()
    assert other.is_active


def test_the_manager_tells_of_users_that_its_own_change_moves_out_of_the_choice(told):
    user = UserFactory()
    told.clear()
    User.objects.filter(is_active=True).update(is_active=False)
    assert [signal["instance"].pk for signal in told] == [user.pk]


def test_an_update_of_anything_else_tells_nobody_as_in_django(told):
    user = UserFactory()
    told.clear()
    assert User.objects.filter(pk=user.pk).update(is_staff=True) == 1
    assert told == []


def test_somebody_switched_off_by_the_manager_is_signed_out(user, api, clock):
    login(api, user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    clock.forward(2)
    assert api.get("/api/auth/me").status_code == 401


def test_an_update_that_ends_no_session_ends_none(user, api, clock):
    login(api, user)
    User.objects.filter(pk=user.pk).update(is_active=True)
    clock.forward(2)
    assert api.get("/api/auth/me").status_code == 200
