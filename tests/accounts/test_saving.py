"""A save of a user writes what was changed, and nothing that somebody else has changed meanwhile."""

import pytest
from django.test import Client

from tests.accounts.steps import NEW_PASSWORD, can_sign_in, events, leads_to
from tests.factories import PASSWORD, AdminFactory, User
from tests.tokens.service.holders import change_password
from tests.tokens.web_steps import signed_in_as
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db


MEANWHILE = {
    "another password": change_password,
    "a deactivation": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "another address": lambda user: User.objects.filter(pk=user.pk).update(email="new@example.org"),
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE)
def test_a_save_of_another_field_does_not_undo(user, change):
    """As the form of the admin does, or a command that asks its operator."""
    stale = User.objects.get(pk=user.pk)
    change(User.objects.get(pk=user.pk))
    after = User.objects.values("password", "is_active", "email").get(pk=user.pk)
    stale.is_staff = True
    stale.save()
    assert User.objects.values("password", "is_active", "email").get(pk=user.pk) == after
    assert User.objects.get(pk=user.pk).is_staff


def test_a_save_of_another_field_leaves_the_spellings_of_a_new_address(user):
    stale = User.objects.get(pk=user.pk)
    User.objects.filter(pk=user.pk).update(email="straße@example.org")
    stale.is_staff = True
    stale.save()
    assert User.objects.at_address("STRASSE@example.org") == user
    assert User.objects.at_address(stale.email) is None


def test_every_changed_field_is_saved_and_again_after_the_next_change(user):
    user = User.objects.get(pk=user.pk)
    user.email, user.is_staff = "new@example.org", True
    user.save()
    user.is_staff = False
    user.set_password(NEW_PASSWORD)
    user.save()
    user = User.objects.get(pk=user.pk)
    assert (user.email, user.is_staff, user.check_password(NEW_PASSWORD)) == ("new@example.org", False, True)


def test_a_field_that_was_loaded_later_is_saved(user):
    user = User.objects.only("email").get(pk=user.pk)
    user.is_staff = True
    user.save()
    user.refresh_from_db()
    user.is_staff = False
    user.save()
    assert not User.objects.get(pk=user.pk).is_staff


def test_a_new_user_and_a_copy_are_saved_completely(user):
    copy = User.objects.get(pk=user.pk)
    copy.pk, copy.email, copy._state.adding = None, "copy@example.org", True
    copy.save(force_insert=True)
    assert copy.pk != user.pk
    assert can_sign_in(Client(), "copy@example.org")


class TestAPasswordSetByStaff:
    @pytest.fixture
    def set_by(self, django_capture_on_commit_callbacks):
        """Sets a password in the admin, and returns the response. A password that the test sets would skip the page."""

        def submit(staff, user, password2=NEW_PASSWORD):
            browser = signed_in_as(staff)
            page = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": password2}
            with django_capture_on_commit_callbacks(execute=True):
                return browser.post(f"/admin/accounts/user/{user.pk}/password/", page)

        return submit

    def test_is_recorded_with_the_name_of_who_did_it_and_told_to_the_user(self, set_by, user, mailoutbox):
        staff = AdminFactory()
        leads_to(set_by(staff, user))
        (event,) = events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert (event.user, event.actor, event.reason) == (user, staff, "by staff")
        assert [message.to for message in mailoutbox if "was changed" in message.subject] == [[user.email]]
        assert can_sign_in(Client(), user.email, NEW_PASSWORD)

    def test_that_is_not_valid_is_not_recorded(self, set_by, user):
        assert set_by(AdminFactory(), user, "another").status_code == 200
        assert not events(SecurityEvent.Kind.PASSWORD_CHANGED)
        assert can_sign_in(Client(), user.email, PASSWORD)


@pytest.mark.parametrize("id", ["nonsense", "0198f0e0-0000-7000-8000-000000000000"], ids=["nonsense", "nobody"])
def test_the_page_for_the_password_of_no_user_is_not_there(id):
    browser = signed_in_as(AdminFactory())
    assert browser.get(f"/admin/accounts/user/{id}/password/").status_code in {302, 404}


def test_an_address_in_capitals_is_no_new_address(user, mailoutbox):
    browser = signed_in_as(AdminFactory())
    page = {"email": user.email.upper(), "is_active": "on"}
    leads_to(browser.post(f"/admin/accounts/user/{user.pk}/change/", page))
    user.refresh_from_db()
    assert user.email_confirmed_at
    assert not events(SecurityEvent.Kind.EMAIL_CHANGED)
