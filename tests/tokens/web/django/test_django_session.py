"""Django's own views, unmodified, and `force_login`. See also `test_django_sign_in` and `test_promises`."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from tests.factories import PASSWORD
from tests.tokens.web_steps import EXPIRED, signed_in_as, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

NEW = "quite another passphrase"


@pytest.fixture
def api(browser: Client, engine: str) -> Client:
    """The browser in front of either kind of server. With one kind a fault in the other's way would go unnoticed."""
    return browser


def sign_in_by_form(client: Client, user: Any, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"username": user.email, "password": password})


def change_password(client: Client) -> Any:
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return client.post("/accounts/password_change/", fields)


class TestDjangosViews:
    def test_the_login_view_opens_a_session_and_the_logout_view_ends_it(self, api, user):
        assert (sign_in_by_form(api, user).status_code, who(api)) == (302, str(user.pk))
        assert RefreshToken.objects.live().get().user == user
        api.post("/accounts/logout/")
        assert (who(api), RefreshToken.objects.live().exists()) == (None, False)

    def test_the_password_change_view_keeps_this_session_and_ends_the_others(self, api, user, clock):
        sign_in_by_form(api, user)
        other = signed_in_as(user)
        assert change_password(api).status_code == 302
        for seconds in (1, EXPIRED):
            clock.forward(seconds)
            assert (who(other), who(api)) == (None, str(user.pk))

    def test_the_password_change_view_records_one_event(self, api, user):
        sign_in_by_form(api, user)
        change_password(api)
        for _ in range(2):
            event = SecurityEvent.objects.get(kind=SecurityEvent.Kind.PASSWORD_CHANGED)
            assert (event.user, event.session_id) == (user, RefreshToken.objects.get().id)
            api.get("/probe/who")

    def test_the_password_reset_view_ends_sessions_at_the_next_refresh(self, signed_in, another, user, clock):
        user.refresh_from_db()
        uid, token = urlsafe_base64_encode(str(user.pk).encode()), default_token_generator.make_token(user)
        browser = another()
        page = browser.get(f"/accounts/reset/{uid}/{token}/", follow=True).request["PATH_INFO"]
        assert browser.post(page, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
        clock.forward(EXPIRED)
        assert who(signed_in) is None
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.PASSWORD_CHANGED
        assert sign_in_by_form(browser, user, NEW).status_code == 302


class TestASignInOutsideTheMiddleware:
    """`force_login` of Django's test client writes only Django's session."""

    def test_it_opens_another_session_if_the_same_user_is_signed_in(self, signed_in, user):
        del signed_in.cookies[django_settings.SESSION_COOKIE_NAME]
        signed_in.force_login(user)
        assert (who(signed_in), RefreshToken.objects.count()) == (str(user.pk), 2)

    def test_it_can_follow_a_revocation(self, api, user, clock):
        for _ in range(2):
            api.force_login(user)
            assert who(api) == str(user.pk)
            revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)
            clock.forward(1)
            assert who(api) is None
