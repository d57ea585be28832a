"""The ecosystem's own doors: Django's views, unmodified, and sign-ins that Django's session alone knows of."""

from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.http import urlsafe_base64_encode

from tests.browsers import ACCESS, FIREFOX, REFRESH, AsyncBrowser, login
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.ending import end_all

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

NEW = "quite another passphrase"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(params=["wsgi", "asgi"])
def api(request: pytest.FixtureRequest) -> Client:
    """A browser, in front of either kind of server."""
    kind = Client if request.param == "wsgi" else AsyncBrowser
    return kind(headers={"User-Agent": FIREFOX})


@pytest.fixture(autouse=True, params=["signed_cookies", "db"])
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where Django keeps its own session: in the browser, without a table, or in its app's."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    return str(request.param)


def who(client: Client) -> str | None:
    pk: str | None = client.get("/probe/who").json()["pk"]
    return pk


def sign_in_by_form(client: Client, user: Any, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"username": user.email, "password": password})


def signed_in_before_us(user: Any) -> Client:
    """A browser that Django's own session signed in, before the project had our middleware."""
    store = import_module(django_settings.SESSION_ENGINE).SessionStore()
    store.update(
        {SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: BACKEND, HASH_SESSION_KEY: user.get_session_auth_hash()}
    )
    store.save()
    client = Client()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = store.session_key
    return client


class TestDjangosViews:
    def test_login_view_opens_a_session_and_logout_view_ends_it(self, api, user):
        assert sign_in_by_form(api, user).status_code == 302
        assert who(api) == str(user.pk)
        assert RefreshToken.objects.live().get().user == user
        api.post("/accounts/logout/")
        assert who(api) is None
        assert not RefreshToken.objects.live().exists()

    def test_password_change_view_keeps_this_session_and_ends_the_others(self, api, another, user, clock):
        sign_in_by_form(api, user)
        other = another()
        login(other, user)
        fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
        assert api.post("/accounts/password_change/", fields).status_code == 302
        clock.forward(1)
        assert who(other) is None
        assert who(api) == str(user.pk)
        clock.forward(601)
        assert who(api) == str(user.pk)
        assert who(other) is None

    def test_password_reset_confirm_view_ends_sessions_at_their_next_refresh(self, api, another, user, clock):
        login(api, user)
        user.refresh_from_db()
        uid, token = urlsafe_base64_encode(str(user.pk).encode()), default_token_generator.make_token(user)
        browser = another()
        page = browser.get(f"/accounts/reset/{uid}/{token}/", follow=True).request["PATH_INFO"]
        assert browser.post(page, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
        clock.forward(601)
        assert who(api) is None
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.PASSWORD_CHANGED
        assert sign_in_by_form(browser, user, NEW).status_code == 302

    def test_the_admin_is_the_same_sign_in(self, api, db, clock):
        admin = AdminFactory()
        api.post("/admin/login/?next=/admin/", {"username": admin.email, "password": PASSWORD})
        assert api.get("/admin/").status_code == 200
        end_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(1)
        assert api.get("/admin/").status_code == 302


class TestASignInOutsideTheMiddleware:
    def test_is_turned_into_cookies_by_the_next_request(self, api, user):
        api.force_login(user)
        response = api.get("/probe/who")
        assert response.json()["pk"] == str(user.pk)
        assert {ACCESS, REFRESH} <= set(response.cookies)
        assert who(api) == str(user.pk)
        assert RefreshToken.objects.count() == 1

    def test_may_change_who_somebody_is(self, api, user):
        somebody = UserFactory()
        api.force_login(user)
        assert who(api) == str(user.pk)
        api.force_login(somebody)
        assert who(api) == str(somebody.pk)

    def test_may_follow_a_revocation(self, api, user, clock):
        for _ in range(2):
            api.force_login(user)
            assert who(api) == str(user.pk)
            end_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)
            clock.forward(1)
            assert who(api) is None

    def test_is_undone_by_the_test_clients_logout(self, api, user):
        api.force_login(user)
        who(api)
        api.logout()
        assert who(api) is None


class TestASignInBeforeTheMiddlewareWasThere:
    def test_is_moved_over_by_the_first_request(self, user, clock):
        client = signed_in_before_us(user)
        response = client.get("/probe/members")
        assert response.status_code == 200
        assert {ACCESS, REFRESH} <= set(response.cookies)
        clock.forward(601)
        assert who(client) == str(user.pk)

    def test_is_moved_over_once_however_many_requests_come_first(self, user, clock):
        client = signed_in_before_us(user)
        tabs = [Client() for _ in range(3)]
        for tab in tabs:
            tab.cookies = client.cookies.copy()
        assert [who(tab) for tab in tabs] == [str(user.pk)] * 3
        assert RefreshToken.objects.count() == 1

    def test_is_not_moved_over_after_its_password_was_changed(self, user):
        client = signed_in_before_us(user)
        user.set_password(NEW)
        user.save()
        assert who(client) is None
        assert not RefreshToken.objects.exists()

    def test_signs_nobody_in_again_once_revoked(self, user, clock):
        client = signed_in_before_us(user)
        late = client.cookies.copy()
        who(client)
        end_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(601)
        assert who(client) is None
        thief = Client()
        thief.cookies = late
        assert who(thief) is None

    def test_is_not_moved_over_by_a_cross_site_form(self, user):
        client = signed_in_before_us(user)
        client.post("/probe/public", headers={"Sec-Fetch-Site": "cross-site"})
        assert not RefreshToken.objects.exists()


def test_a_session_that_only_says_so_is_not_believed(api, user, engine):
    """Django checks its own session: backend, hash, and that the user is active."""
    user.is_active = False
    user.save()
    client = signed_in_before_us(user)
    assert who(client) is None


def test_a_password_changed_by_djangos_view_is_written_down_once(api, user):
    sign_in_by_form(api, user)
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    api.post("/accounts/password_change/", fields)
    event = SecurityEvent.objects.get(kind=SecurityEvent.Kind.PASSWORD_CHANGED)
    assert (event.user, event.session_id) == (user, RefreshToken.objects.get().id)
    api.get("/probe/who")
    assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.PASSWORD_CHANGED).count() == 1
