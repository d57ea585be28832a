"""Deleting the own account: its sessions, devices and tokens become invalid with it, immediately."""

import pytest

from accounts.models import User
from tests.accounts.steps import CROSS_SITE, ask, clears_the_tokens, events, problem, who
from tests.browsers import login, refresh
from tests.factories import PASSWORD, UserFactory
from tokens.models import Device, RefreshToken, SecurityEvent

pytestmark = pytest.mark.django_db


def delete(client, path="/api/auth/me", **headers):
    return client.delete(path, headers=headers)


class TestDeletingTheAccount:
    @pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/me/"])
    def test_the_account_is_deleted_and_the_cookies_are_cleared(self, signed_in, user, path):
        response = delete(signed_in, path)
        assert (response.status_code, response.content) == (204, b"")
        assert clears_the_tokens(response)
        assert not User.objects.exists()
        credentials = {"email": user.email, "password": PASSWORD}
        assert problem(ask(signed_in, "login", credentials)) == "401 invalid_credentials"
        User.objects.create_user(**credentials)
        assert User.objects.get().email == user.email, "The address is free again."

    def test_all_its_sessions_end_at_once_access_tokens_included(self, signed_in, user, another, clock):
        other, bystander, thief = another(), another(), another()
        login(other, user)
        login(bystander, UserFactory())
        thief.cookies.load({name: cookie.value for name, cookie in signed_in.cookies.items()})
        delete(signed_in)
        clock.forward(1)
        for client in (other, thief):
            assert client.get("/api/auth/me").json()["code"] == "session_ended"
        assert refresh(other).status_code == 401
        assert who(bystander) == 200

    def test_its_events_are_kept_and_the_owner_gets_a_mail(self, signed_in, user, mailoutbox):
        delete(signed_in)
        assert not RefreshToken.objects.exists()
        assert not Device.objects.exists()
        (event,) = events(SecurityEvent.Kind.REVOKED)
        assert event.reason == RefreshToken.Reason.USER_DELETED
        assert [message.to for message in mailoutbox] == [[user.email]]

    def test_it_ends_the_session_of_django_as_well(self, signed_in_by_form):
        delete(signed_in_by_form)
        assert "_auth_user_id" not in signed_in_by_form.session

    def test_get_on_the_same_path_returns_the_user(self, signed_in, user):
        assert signed_in.get("/api/auth/me").json()["user"]["email"] == user.email


class TestARejectedDeletion:
    @pytest.fixture(autouse=True)
    def _deletes_nothing(self, user, mailoutbox):
        """Check that the account is there and no mail was sent. A deletion that is rejected too late would pass."""
        yield
        assert User.objects.filter(pk=user.pk).exists()
        assert not mailoutbox

    def test_of_a_client_that_is_not_signed_in(self, api):
        assert problem(delete(api)) == "401 not_authenticated"

    def test_of_a_sign_in_that_is_not_recent(self, signed_in, clock):
        clock.forward(901)
        assert problem(delete(signed_in)) == "403 reauthentication_required"
        assert who(signed_in) == 200

    def test_from_another_origin(self, signed_in):
        assert problem(delete(signed_in, **CROSS_SITE)) == "403 cross_origin"
