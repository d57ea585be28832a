"""Deleting the own account: its sessions, devices and tokens become invalid with it, immediately."""

import pytest

from tests.accounts.steps import ask, clears_the_tokens, events, problem, who
from tests.browsers import copy_of, refresh
from tests.factories import PASSWORD, User, UserFactory
from tests.tokens.web_steps import signed_in_as
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db

ME = "/api/auth/me"


class TestDeletingTheAccount:
    @pytest.mark.parametrize("path", [ME, f"{ME}/"])
    def test_the_account_is_deleted_and_the_cookies_are_cleared(self, signed_in, user, path):
        response = signed_in.delete(path)
        assert (response.status_code, response.content) == (204, b"")
        assert clears_the_tokens(response)
        assert not User.objects.exists()
        credentials = {"email": user.email, "password": PASSWORD}
        assert problem(ask(signed_in, "login", credentials)) == "401 invalid_credentials"
        UserFactory(**credentials)
        assert User.objects.get().email == user.email, "The address is free again."

    def test_all_its_sessions_end_at_once_access_tokens_included(self, signed_in, user, clock):
        other, bystander, thief = signed_in_as(user), signed_in_as(UserFactory()), copy_of(signed_in)
        signed_in.delete(ME)
        clock.forward(1)
        for client in (other, thief):
            assert client.get(ME).json()["code"] == "session_ended"
        assert refresh(other).status_code == 401
        assert who(bystander) == 200

    def test_its_events_are_kept_and_the_owner_gets_a_mail(self, signed_in, user, mailoutbox):
        signed_in.delete(ME)
        assert not RefreshToken.objects.exists()
        assert not Device.objects.exists()
        (event,) = events(SecurityEvent.Kind.REVOKED)
        assert event.reason == RefreshToken.Reason.USER_DELETED
        assert [message.to for message in mailoutbox] == [[user.email]]

    def test_it_ends_the_session_of_django_as_well(self, signed_in_by_form):
        signed_in_by_form.delete(ME)
        assert "_auth_user_id" not in signed_in_by_form.session
