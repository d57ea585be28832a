"""Django's session and ours belong to the same person, whichever entry point was used to sign in."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.test import Client

from tests.browsers import ACCESS, DEVICE, REFRESH, login, refresh
from tests.factories import PASSWORD, AdminFactory
from tests.tokens.service.holders import AnotherProcess
from tests.tokens.web_steps import EXPIRED, end_all_sessions, values_of
from tokens.models import RefreshToken
from tokens.service.revocation_feed import feed

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.at_length_on("sqlite"),
    pytest.mark.long,
    pytest.mark.urls("tests.tokens.web.django_session_urls"),
]

NEW_PASSWORD = "quite another passphrase"
TO_A_PAGE, BY_SCRIPT = {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors"}
ENTRIES = {SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY}
NOBODY = {"user": None, "django": None, "data": {}}


def by_form(path: str) -> Callable[[Client, Any], Any]:
    return lambda client, user: client.post(path, {"username": user.email, "password": PASSWORD})


def by_force_login(client: Client, user: Any) -> None:
    client.force_login(user)
    client.get("/probe/seen")


ENTRY_POINTS: dict[str, Callable[[Client, Any], Any]] = {
    "the API": login,
    "the page": by_form("/sign-in"),
    "the admin": by_form("/admin/login/?next=/admin/"),
    "Django's LoginView": by_form("/accounts/login/"),
    "login()": lambda client, user: client.get(f"/probe/in/{user.pk}"),
    "alogin()": lambda client, user: client.get(f"/probe/in-async/{user.pk}"),
    "force_login": by_force_login,
}


@pytest.fixture
def api(browser: Client, engine: str) -> Client:
    """The browser in front of either kind of server. With one kind a fault in the other's way would go unnoticed."""
    return browser


@pytest.fixture(params=ENTRY_POINTS.values(), ids=ENTRY_POINTS)
def enter(request: pytest.FixtureRequest) -> Callable[[Client, Any], Any]:
    """An entry point to sign in by. One that leaves Django's session as it was would let two people share a browser."""
    return request.param  # type: ignore[no-any-return]


def seen(client: Client, path: str = "/probe/seen", **headers: str) -> Any:
    return client.get(path, headers=headers).json()


def user_of_socket(session: Any) -> str | None:
    """Return the user that Channels' AuthMiddleware finds in Django's session, by the same steps as `get_user`."""
    request = HttpRequest()
    request.session = session
    pk = get_user(request).pk
    return pk and str(pk)


class TestASignIn:
    def test_is_known_to_views_to_djangos_session_and_to_web_sockets(self, api, stored, enter):
        user = AdminFactory()
        enter(api, user)
        assert seen(api) == {"user": str(user.pk), "django": str(user.pk), "data": {}}
        assert user_of_socket(stored(api)) == str(user.pk)
        assert set(stored(api).keys()) >= ENTRIES

    def test_keeps_what_the_same_browser_stored_before_under_a_new_key(self, api, stored, enter):
        api.get("/probe/store/before")
        old = stored(api).session_key
        enter(api, AdminFactory())
        assert seen(api)["data"] == {"note": "before"}
        assert stored(api).session_key != old

    def test_of_the_same_person_gets_a_new_key(self, api, stored, enter, engine, clock):
        user = AdminFactory()
        login(api, user)
        api.get("/probe/store/mine")
        old, copy = stored(api).session_key, api.cookies[django_settings.SESSION_COOKIE_NAME].value
        clock.forward(1)
        enter(api, user)
        assert seen(api) == {"user": str(user.pk), "django": str(user.pk), "data": {"note": "mine"}}
        if enter is not by_force_login:  # Django's own function, which no view calls, keeps this key.
            assert stored(api).session_key != old
            assert engine == "signed_cookies" or not Session.objects.filter(session_key=copy).exists()

    def test_of_another_person_does_not_find_what_views_stored_for_the_first(self, stored, enter, signed_in):
        signed_in.get("/probe/store/secret")
        other = AdminFactory()
        enter(signed_in, other)
        assert seen(signed_in) == {"user": str(other.pk), "django": str(other.pk), "data": {}}
        assert user_of_socket(stored(signed_in)) == str(other.pk)

    @pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["valid", "expired"])
    def test_of_another_person_finds_nothing_even_if_djangos_session_was_lost(self, api, user, clock, enter, seconds):
        """Django's session ends with the browser. One that a view then begins anew names nobody."""
        login(api, user, remember=True)
        del api.cookies[django_settings.SESSION_COOKIE_NAME]
        api.get("/probe/store/secret")
        clock.forward(seconds)
        other = AdminFactory()
        enter(api, other)
        assert seen(api) == {"user": str(other.pk), "django": str(other.pk), "data": {}}


def test_a_sign_in_in_body_mode_leaves_the_cookies_and_the_session_of_the_browser(user, both_modes, stored, signed_in):
    before = signed_in.cookies[django_settings.SESSION_COOKIE_NAME].value
    other = AdminFactory()
    del signed_in.cookies[DEVICE]  # A sign-in of another person on the same device ends the session.
    token = login(signed_in, other, mode="body")["access_token"]
    assert signed_in.cookies[django_settings.SESSION_COOKIE_NAME].value == before
    assert seen(signed_in, Authorization=f"Bearer {token}") == {"user": str(other.pk), "django": None, "data": {}}
    assert seen(signed_in) == {"user": str(user.pk), "django": str(user.pk), "data": {}}


def test_what_a_view_stores_for_a_bearer_does_not_reach_the_person_of_the_cookie(both_modes, signed_in):
    del signed_in.cookies[DEVICE]  # A sign-in of another person on the same device ends the session.
    token = login(signed_in, AdminFactory(), mode="body")["access_token"]
    signed_in.get("/probe/store/foreign", headers={"Authorization": f"Bearer {token}"})
    assert seen(signed_in)["data"] == {}


def test_a_bearer_of_the_same_person_finds_what_views_have_stored(user, both_modes, signed_in):
    signed_in.get("/probe/store/mine")
    token = login(Client(), user, mode="body")["access_token"]
    expected = {"user": str(user.pk), "django": str(user.pk), "data": {"note": "mine"}}
    assert seen(signed_in, Authorization=f"Bearer {token}") == expected


def test_a_bearer_does_not_find_a_sign_in_that_has_no_session_yet(api, user, both_modes):
    """A view that writes to it would let a copy of it look like a new sign-in."""
    api.force_login(user)
    token = login(Client(), user, mode="body")["access_token"]
    assert seen(api, Authorization=f"Bearer {token}") == {"user": str(user.pk), "django": None, "data": {}}


def test_a_change_of_the_password_that_another_process_has_read_of_first_keeps_djangos_session(api, user):
    """That process ends all sessions of the user. A new one takes the place of the one in which it was changed."""
    process = AnotherProcess()
    process.is_revoked(uuid4())
    login(api, user)
    api.get("/probe/store/mine")

    def read_then(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "accounts_user" in sql:
            process.forward(1)
            process.is_revoked(uuid4(), str(user.pk))
        return result

    fields = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    with connection.execute_wrapper(read_then):
        assert api.post("/accounts/password_change/", fields).status_code == 302
    assert RefreshToken.objects.count() == 2
    assert seen(api) == {"user": str(user.pk), "django": str(user.pk), "data": {"note": "mine"}}


class TestAnEndedSession:
    @pytest.fixture(autouse=True)
    def _signed_in(self, api: Client, user: Any, clock: Any, engine: str) -> None:
        """Signs in, and writes into Django's session. If it were empty, nothing of the ended session could be left."""
        login(api, user, remember=True)
        api.get("/probe/store/otp")
        clock.forward(1)

    @pytest.mark.parametrize("path", ["/probe/seen", "/probe/seen-async"])
    @pytest.mark.parametrize("headers", [TO_A_PAGE, BY_SCRIPT], ids=["a page", "a script"])
    @pytest.mark.parametrize("seconds", [1, EXPIRED], ids=["valid", "expired"])
    def test_is_empty_before_the_view_runs(self, api, clock, path, headers, seconds):
        end_all_sessions()
        clock.forward(seconds)
        assert seen(api, path, **headers) == NOBODY

    def test_is_gone_for_web_sockets_after_the_next_page(self, api, stored, engine):
        end_all_sessions()
        copy = api.cookies[django_settings.SESSION_COOKIE_NAME].value
        response = api.get("/probe/seen", headers=TO_A_PAGE)
        assert response.cookies[django_settings.SESSION_COOKIE_NAME]["max-age"] == 0
        assert user_of_socket(stored(api)) is None
        assert engine == "signed_cookies" or not Session.objects.filter(session_key=copy).exists()

    def test_is_gone_if_the_browser_has_dropped_the_tokens(self, api, clock):
        clock.forward(30 * 86400)
        for name in (ACCESS, REFRESH):
            del api.cookies[name]
        assert seen(api) == NOBODY

    def test_is_deleted_by_the_next_page_if_the_browser_has_dropped_the_tokens(self, api):
        end_all_sessions()
        for name in (ACCESS, REFRESH):
            del api.cookies[name]
        response = api.get("/probe/seen", headers=TO_A_PAGE)
        assert response.cookies[django_settings.SESSION_COOKIE_NAME]["max-age"] == 0

    def test_is_gone_for_the_api_and_does_not_come_back_with_the_next_sign_in(self, api, user):
        """A second factor that was verified earlier must not count after a sign-in with the password only."""
        end_all_sessions()
        login(api, user)
        assert seen(api) == {"user": str(user.pk), "django": str(user.pk), "data": {}}

    def test_is_gone_as_soon_as_a_refresh_finds_it_ended(self, api, stored):
        end_all_sessions()
        assert (refresh(api).status_code, user_of_socket(stored(api))) == (401, None)

    def test_is_gone_as_soon_as_its_user_ends_it(self, api, user, stored):
        session_id = RefreshToken.objects.get().id
        assert api.delete(f"/api/auth/sessions/{session_id}").status_code == 204
        assert user_of_socket(stored(api)) is None
        assert seen(api) == NOBODY

    def test_leaves_the_session_of_a_newer_sign_in_in_the_same_browser(self, api, user, stored):
        end_all_sessions()
        late = Client()
        late.cookies.load(values_of(api))
        login(api, user)
        response = late.get("/probe/seen", headers=TO_A_PAGE)
        assert response.json() == NOBODY
        assert django_settings.SESSION_COOKIE_NAME not in response.cookies
        assert user_of_socket(stored(api)) == str(user.pk)

    def test_lets_a_view_begin_a_new_one(self, api):
        end_all_sessions()
        assert api.get("/probe/store/anew").status_code == 200
        assert seen(api) == {**NOBODY, "data": {"note": "anew"}}

    def test_is_not_assumed_when_only_the_refresh_token_did_not_come(self, api, user, clock):
        refresh = api.cookies.pop(REFRESH)
        clock.forward(EXPIRED)
        assert seen(api)["user"] is None
        api.cookies[REFRESH] = refresh.value
        assert seen(api) == {"user": str(user.pk), "django": str(user.pk), "data": {"note": "otp"}}

    def test_is_gone_if_django_saves_it_at_every_request(self, api, clock, settings):
        settings.SESSION_SAVE_EVERY_REQUEST = True
        assert seen(api)["data"] == {"note": "otp"}
        end_all_sessions()
        clock.forward(1)
        assert [seen(api) for _ in range(2)] == [NOBODY] * 2


@pytest.mark.parametrize("is_moved_over", [False, True], ids=["a sign-in", "a sign-in was moved over"])
def test_no_statement_is_needed_after(api, user, clock, signed_in_by_django, django_assert_num_queries, is_moved_over):
    feed.is_revoked(uuid4())
    if is_moved_over:
        api = signed_in_by_django(user)
        api.get("/probe/who")
    else:
        login(api, user)
    with django_assert_num_queries(0):
        assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_a_session_that_has_ended_does_not_come_back_beside_a_newer_one(api, user, clock):
    """Someone who knows the password must not add a second factor from a copy of the owner's cookie."""
    session = django_settings.SESSION_COOKIE_NAME
    login(api, user)
    api.get("/probe/store/otp")
    copy = api.cookies[session].value
    end_all_sessions()
    clock.forward(1)
    login(api, user)
    api.cookies[session] = copy
    assert seen(api)["data"] == {}


def test_the_session_of_another_person_from_before_the_upgrade_is_deleted(api, user, signed_in_by_django):
    """Releases that left Django's session alone could leave two people in one browser."""
    browser = signed_in_by_django(AdminFactory())
    session = django_settings.SESSION_COOKIE_NAME
    browser.get("/probe/store/secret")
    login(api, user)
    api.cookies[session] = browser.cookies[session].value
    assert seen(api) == {"user": str(user.pk), "django": None, "data": {}}
    assert session not in api.cookies or not api.cookies[session].value
