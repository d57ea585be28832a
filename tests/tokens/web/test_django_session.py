"""Django's own views, unmodified, and sign-ins that only Django's session knows."""

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from tests.browsers import ACCESS, REFRESH, login
from tests.factories import PASSWORD, UserFactory
from tests.tokens.edge import EXPIRED, who
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

NEW = "quite another passphrase"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def api(browser: Client) -> Client:
    """The browser in front of either kind of server. With one kind a fault in the other's way would go unnoticed."""
    return browser


@pytest.fixture(autouse=True, params=["signed_cookies", "db"])
def _engine(request: pytest.FixtureRequest, settings: Any) -> None:
    """Lets Django keep its session in a cookie or in a table. With one engine a hand-over that needs it would pass."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"


def sign_in_by_form(client: Client, user: Any, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"username": user.email, "password": password})


def change_password(client: Client) -> Any:
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return client.post("/accounts/password_change/", fields)


def revoke_everything() -> None:
    revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)


@pytest.fixture
def earlier(user: Any, clock: Any, _engine: None) -> Client:
    """A browser that Django signed in before the project had our middleware, which would have marked the session."""
    store = import_module(django_settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), BACKEND
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    client = Client()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = store.session_key
    return client


class TestDjangosViews:
    def test_the_login_view_opens_a_session_and_the_logout_view_ends_it(self, api, user):
        assert sign_in_by_form(api, user).status_code == 302
        assert who(api) == str(user.pk)
        assert RefreshToken.objects.live().get().user == user
        api.post("/accounts/logout/")
        assert who(api) is None
        assert not RefreshToken.objects.live().exists()

    def test_the_password_change_view_keeps_this_session_and_ends_the_others(self, api, another, user, clock):
        sign_in_by_form(api, user)
        other = another()
        login(other, user)
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

    def test_the_password_reset_view_ends_sessions_at_their_next_refresh(self, api, another, user, clock):
        login(api, user)
        user.refresh_from_db()
        uid, token = urlsafe_base64_encode(str(user.pk).encode()), default_token_generator.make_token(user)
        browser = another()
        page = browser.get(f"/accounts/reset/{uid}/{token}/", follow=True).request["PATH_INFO"]
        assert browser.post(page, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
        clock.forward(EXPIRED)
        assert who(api) is None
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.PASSWORD_CHANGED
        assert sign_in_by_form(browser, user, NEW).status_code == 302


class TestASignInOutsideTheMiddleware:
    """`force_login` of Django's test client writes only Django's session."""

    def test_the_next_request_turns_it_into_cookies(self, api, user):
        api.force_login(user)
        response = api.get("/probe/who")
        assert response.json()["pk"] == str(user.pk)
        assert {ACCESS, REFRESH} <= set(response.cookies)
        assert who(api) == str(user.pk)
        assert RefreshToken.objects.count() == 1

    def test_it_can_replace_the_signed_in_user(self, api, user):
        for one in (user, UserFactory()):
            api.force_login(one)
            assert who(api) == str(one.pk)

    def test_it_opens_another_session_if_the_same_user_is_signed_in(self, api, user):
        login(api, user)
        del api.cookies[django_settings.SESSION_COOKIE_NAME]
        api.force_login(user)
        assert who(api) == str(user.pk)
        assert RefreshToken.objects.count() == 2

    def test_it_can_follow_a_revocation(self, api, user, clock):
        for _ in range(2):
            api.force_login(user)
            assert who(api) == str(user.pk)
            revoke_everything()
            clock.forward(1)
            assert who(api) is None

    def test_the_test_clients_logout_ends_it(self, api, user):
        api.force_login(user)
        who(api)
        api.logout()
        assert who(api) is None


class TestASignInBeforeTheMiddlewareWasInstalled:
    def test_the_first_request_opens_a_session(self, earlier, user, clock):
        response = earlier.get("/probe/members")
        assert response.status_code == 200
        assert {ACCESS, REFRESH} <= set(response.cookies)
        clock.forward(EXPIRED)
        assert who(earlier) == str(user.pk)

    def test_is_moved_over_once_however_many_requests_come_first(self, earlier, user):
        tabs = [Client() for _ in range(3)]
        for tab in tabs:
            tab.cookies = earlier.cookies.copy()
        assert [who(tab) for tab in tabs] == [str(user.pk)] * 3
        assert RefreshToken.objects.count() == 1

    def test_after_a_password_change_it_is_refused(self, earlier, user):
        user.set_password(NEW)
        user.save()
        assert who(earlier) is None
        assert not RefreshToken.objects.exists()

    def test_of_a_user_who_is_not_active_it_is_refused(self, earlier, user):
        user.is_active = False
        user.save()
        assert who(earlier) is None

    def test_once_its_session_is_revoked_neither_the_browser_nor_a_copied_cookie_is_signed_in(self, earlier, clock):
        attacker = Client()
        attacker.cookies = earlier.cookies.copy()
        who(earlier)
        revoke_everything()
        clock.forward(EXPIRED)
        assert (who(earlier), who(attacker)) == (None, None)

    def test_a_form_of_another_site_does_not_open_a_session(self, earlier):
        earlier.post("/probe/public", headers={"Sec-Fetch-Site": "cross-site"})
        assert not RefreshToken.objects.exists()
