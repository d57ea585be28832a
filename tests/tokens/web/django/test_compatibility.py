"""What calls `auth.login()`, or uses Django's session, works as it does with Django's own middleware."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browsers import ACCESS, REFRESH, SESSION, AsyncBrowser, login, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.service.holders import change_password
from tests.tokens.service.statements import TABLE, failing, statements
from tests.tokens.web import compatibility_urls
from tests.tokens.web.django.test_django_sign_in import copy_of
from tests.tokens.web_steps import EXPIRED, add_middleware, end_all_sessions, is_unavailable, sign_in_before_us, who
from tokens.conf import BODY
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke_all
from tokens.web import outgoing
from tokens.web.lazy_user import session_of

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls(compatibility_urls.__name__)]

HERE = compatibility_urls.__name__


@pytest.fixture
def browser(api: Client, engine: str) -> Client:
    """A browser of a project that keeps Django's sessions in a cookie or in a table. A rule could hold for one only."""
    return api


def enter(client: Client, user: Any) -> None:
    assert (client.get(f"/probe/in/{user.pk}").status_code, who(client)) == (200, str(user.pk))


def revoke_the_user(user: Any) -> None:
    """Revoke all sessions of the user, also those that this server does not know yet."""
    revoke_all(RefreshToken.objects.live(), RefreshToken.Reason.ENDED_BY_STAFF, user=user)


def reason() -> str:
    return RefreshToken.objects.get().revoked_reason


class TestASignOut:
    @pytest.mark.parametrize(
        ("sign_in", "status"),
        [(enter, 200), (enter, 500), (login, 200)],
        ids=["in a page", "in a page that fails", "after a sign-in by the API"],
    )
    def test_by_flush_of_the_session(self, browser, user, sign_in, status):
        sign_in(browser, user)
        assert (browser.get(f"/probe/flush?status={status}").status_code, who(browser)) == (status, None)
        assert reason() == RefreshToken.Reason.SIGNED_OUT

    def test_is_not_a_write_to_a_session_that_never_had_the_sign_in(self, browser, user, settings):
        login(browser, user)
        browser.cookies.pop(settings.SESSION_COOKIE_NAME)
        browser.get("/probe/store/mine")
        browser.get("/probe/flush")
        assert who(browser) == str(user.pk)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_by_a_middleware_outside_of_ours(self, browser, user, settings, when, clock):
        add_middleware(settings, f"{HERE}.signs_out")
        enter(browser, user)
        browser.get("/probe/public", headers={"X-Sign-Out": when})
        clock.forward(2)
        assert (who(browser), reason()) == (None, RefreshToken.Reason.SIGNED_OUT)

    @pytest.mark.parametrize("sign_in", [enter, Client.force_login])
    def test_by_the_test_clients_own_logout(self, browser, user, sign_in):
        sign_in(browser, user)
        assert who(browser) == str(user.pk)
        browser.logout()
        assert (who(browser), reason()) == (None, RefreshToken.Reason.SIGNED_OUT)


@pytest.mark.parametrize("mode", ["cookie", BODY])
def test_djangos_signal_of_a_sign_in_is_sent_once_with_a_request_that_has_the_user(browser, user, both_modes, mode):
    seen: list[Any] = []

    def receive(*, request: Any, user: Any, **kwargs: Any) -> None:
        seen.append((request.user.pk, user.pk))

    user_logged_in.connect(receive)
    try:
        login(browser, user, mode=mode)
    finally:
        user_logged_in.disconnect(receive)
    assert seen == [(user.pk, user.pk)]


class TestAuthenticate:
    @pytest.mark.parametrize(
        "credentials",
        [{}, {"username": "somebody"}, {"password": "a password"}, {"username": "somebody", "otp": "123456"}],
        ids=["without any", "a name", "a password", "a name and a code"],
    )
    def test_without_a_name_and_a_password_costs_nothing(self, credentials, rf, throttled, django_assert_num_queries):
        throttled(sign_in_account="1/m", sign_in_network="1/m")
        with django_assert_num_queries(0):
            for _ in range(3):
                assert authenticate(rf.get("/"), **credentials) is None
        assert not SecurityEvent.objects.exists()

    def test_with_other_credentials_does_not_lock_the_account(self, user, rf, throttled):
        throttled(sign_in_account="1/m")
        for _ in range(3):
            authenticate(rf.get("/"), username=user.email, token="not a password")
        assert authenticate(rf.get("/"), username=user.email, password=PASSWORD) == user

    @pytest.mark.parametrize("request_like", [None, object()], ids=["none", "without META"])
    def test_takes_a_request_without_headers(self, user, request_like, throttled):
        assert authenticate(request_like, username=user.email, password="wrong") is None
        assert authenticate(request_like, username=user.email, password=PASSWORD) == user
        assert SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGN_IN_FAILED).count() == 1


@pytest.fixture(params=["force_login", "before us"])
def outside(request: pytest.FixtureRequest, api: Client, user: Any, signed_in_by_django: Any) -> Client:
    """A browser that our middleware has not seen since the sign-in. With tokens, it would have nothing to take over."""
    if request.param == "before us":
        return signed_in_by_django(user)
    api.force_login(user)
    return api


@pytest.mark.parametrize("how", ["plain", "user", "cycle"])
def test_a_request_that_takes_over_a_sign_in_keeps_what_the_view_writes(outside, user, how):
    assert outside.get(f"/probe/write/{how}").status_code == 200
    pk = str(user.pk)
    assert outside.get("/probe/seen").json() == {"user": pk, "django": pk, "data": {"note": how}}


@pytest.mark.usefixtures("in_a_table")
class TestASignInOutsideOfTheMiddleware:
    def statements(self, client: Client, path: str = "/probe/both") -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(path).status_code == 200
        return len(found)

    def test_costs_the_first_requests_as_many_statements_as_with_django(self, api, user, clock, monkeypatch):
        monkeypatch.setattr(outgoing, "BRIEF", 600)  # On a slow machine the request would not be brief.
        api.force_login(user)
        assert [self.statements(api) for _ in range(3)] == [2, 2, 2]

    def test_leaves_no_refresh_token_and_no_access_token_for_long(self, api, user, clock):
        api.force_login(user)
        who(api)
        assert not api.cookies[REFRESH].value
        clock.forward(EXPIRED)
        assert who(api) == str(user.pk)
        assert api.cookies[REFRESH].value
        left = json.dumps(dict(SessionStore(api.cookies[SESSION].value).items()))
        assert api.cookies[REFRESH].value not in left
        assert "access" not in left

    def test_goes_on_after_parallel_first_requests_and_parallel_refreshes(self, api, user, clock):
        api.force_login(user)
        tabs = [copy_of(api) for _ in range(3)]
        for _ in range(3):
            assert {who(tab) for tab in tabs} == {str(user.pk)}
            clock.forward(EXPIRED)
        assert RefreshToken.objects.get().revoked_at is None

    def test_goes_on_after_a_new_key_of_the_session(self, api, user, clock):
        api.force_login(user)
        api.get("/probe/write/cycle")
        for _ in range(3):
            clock.forward(EXPIRED)
            assert (api.get("/probe/seen").json()["data"], who(api)) == ({"note": "cycle"}, str(user.pk))
        assert RefreshToken.objects.get().generation > 1

    def test_can_be_refreshed_by_a_script_at_once(self, api, user, clock):
        api.force_login(user)
        who(api)
        assert refresh(api).status_code == 200
        assert api.cookies[REFRESH].value
        clock.forward(EXPIRED)
        assert (refresh(api).status_code, who(api)) == (200, str(user.pk))

    def test_proves_that_its_client_holds_the_session(self, api, clock):
        api.force_login(AdminFactory())
        assert api.get("/admin/").status_code == 200
        row = RefreshToken.objects.get()
        path = f"/admin/tokens/refreshtoken/user/{UserFactory().pk}/revoke/"
        assert api.post(path)["Location"] != f"/admin/login/?next={path}"
        assert RefreshToken.objects.get() == row
        assert api.delete("/api/auth/sessions").status_code == 204

    @pytest.mark.parametrize("cookie", [ACCESS, SESSION])
    def test_an_access_token_alone_proves_nothing(self, api, user, cookie):
        api.force_login(user)
        who(api)
        api.cookies.pop(SESSION if cookie == ACCESS else ACCESS)
        assert api.delete("/api/auth/sessions").status_code == (403 if cookie == ACCESS else 204)

    @pytest.mark.parametrize("seconds", [1, EXPIRED], ids=["at once", "without access"])
    def test_is_over_everywhere_when_it_was_revoked(self, api, user, clock, seconds):
        api.force_login(user)
        copy = copy_of(api)
        who(api)
        end_all_sessions()
        clock.forward(seconds)
        assert (who(api), who(copy)) == (None, None)

    def test_of_another_person_replaces_that_of_the_first(self, signed_in, clock):
        other = UserFactory()
        signed_in.force_login(other)
        for _ in range(3):
            assert who(signed_in) == str(other.pk)
            clock.forward(EXPIRED)

    def test_is_not_lost_with_the_write_of_a_parallel_request(self, user, signed_in_by_django):
        """It takes over the sign-in while the view of the other runs."""
        client = signed_in_by_django(user)
        other = copy_of(client)
        compatibility_urls.Paused.meanwhile = lambda: who(other)
        assert client.get("/probe/paused").status_code == 200
        assert client.get("/probe/seen").json()["data"] == {"note": "paused"}

    @pytest.mark.parametrize("how", ["write", "cycle"])
    def test_does_not_undo_the_write_of_a_parallel_request(self, user, signed_in_by_django, how):
        client = signed_in_by_django(user)
        other = copy_of(client)
        found: list[int] = []
        compatibility_urls.Paused.meanwhile = lambda: found.append(other.get(f"/probe/write/{how}").status_code)
        assert client.get("/probe/slow").status_code == 200
        assert found == [200]
        assert other.get("/probe/seen").json()["data"] == {"note": how}


class TestASessionThatAnotherMiddlewarePutsOnTheRequest:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings: Any, in_a_table: None) -> None:
        """Lets a header name the session, as apps without cookies do. Otherwise nobody would read it."""
        add_middleware(settings, f"{HERE}.reads_session_from_header")

    @pytest.fixture(params=[Client.force_login, enter, sign_in_before_us], ids=["force_login", "login()", "before us"])
    def key(self, request: pytest.FixtureRequest, clock: Any, user: Any) -> str:
        """The key of a session in which the user is signed in, by each way. Each leaves other notes in the session."""
        client = Client()
        request.param(client, user)
        return str(client.cookies[SESSION].value)

    def user_by(self, client: Client, key: str, path: str = "/probe/seen") -> Any:
        return client.get(path, headers={"X-Session": key}).json()["user"]

    def test_decides_who_the_user_is(self, key, user, another, clock):
        for seconds in (0, EXPIRED, 13 * 86400):
            clock.forward(seconds)
            assert self.user_by(another(), key) == str(user.pk)
        assert RefreshToken.objects.count() <= 1

    def test_goes_on_while_it_is_used_and_is_listed_and_ends_when_it_is_not(self, user, another, clock, client):
        client.force_login(user)
        key = client.cookies[SESSION].value
        for seconds in (0, *[6 * 86400] * 2):
            clock.forward(seconds)
            assert (self.user_by(another(), key), RefreshToken.objects.live().count()) == (str(user.pk), 1)
        RefreshToken.objects.update(idle_expires_at=clock.now)
        assert self.user_by(another(), key) is None

    @pytest.mark.parametrize("offered", ["off", "offer"])
    def test_that_was_revoked_does_not_come_back_by_a_write(self, offered, user, another, clock, settings, client):
        settings.TOKENS = {**settings.TOKENS, "DEVICE_BOUND": offered}
        sign_in_before_us(client, user)
        key = client.cookies[SESSION].value
        assert self.user_by(another(), key) == str(user.pk)
        clock.forward(60)
        revoke_the_user(user)
        clock.forward(5)
        for path in ("/probe/count", "/probe/seen"):
            assert another().get(path, headers={"X-Session": key}).status_code == 200
            clock.forward(5)
        assert self.user_by(another(), key) is None

    def test_is_not_served_to_others_by_a_cache(self, key, another):
        assert another().get("/probe/who", headers={"X-Session": key})["Cache-Control"] == "private"

    def test_decides_beside_the_cookies_of_another_person(self, key, user, api):
        login(api, UserFactory())
        assert self.user_by(api, key) == str(user.pk)

    def test_does_not_without_a_sign_in(self, user, signed_in):
        empty = SessionStore()
        empty.create()
        assert who(signed_in) == str(user.pk)
        assert signed_in.get("/probe/who", headers={"X-Session": empty.session_key}).json()["pk"] == str(user.pk)

    ENDS = {"a revocation": revoke_the_user, "a change of the password": change_password}

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_signs_nobody_in_after(self, end, key, user, another, clock):
        clock.forward(60)
        end(user)
        clock.forward(1)
        assert self.user_by(another(), key) is None

    def test_is_no_way_round_the_origin_check(self, key, another):
        answer = another().post("/probe/who", headers={"X-Session": key, "Origin": "https://evil.example"})
        assert answer.status_code == 403


@pytest.mark.usefixtures("in_a_table")
class TestACopyOfDjangosCookie:
    """A session in a cookie is opened in another way."""

    @pytest.mark.parametrize("how", ["signed out", "expired"])
    def test_opens_no_session_after_the_row_of_an_ended_one_was_purged(self, how, user, clock, settings, client):
        settings.SESSION_COOKIE_AGE = 90 * 86400
        client.force_login(user)
        assert who(client) == str(user.pk)
        copy = copy_of(client)
        if how == "signed out":
            token = client.cookies[ACCESS].value
            assert post(Client(), "/api/auth/logout", Authorization=f"Bearer {token}").status_code == 204
        clock.forward(46 * 86400)
        call_command("purge_tokens", verbosity=0)
        assert (who(copy), RefreshToken.objects.exists()) == (None, False)

    def test_that_other_hosts_see_too_stands_for_no_refresh_token(self, user, clock, settings):
        settings.SESSION_COOKIE_DOMAIN = ".testserver"
        Client().force_login(user)
        assert not RefreshToken.objects.exists()

    def test_and_the_first_request_with_it_have_the_session_of_the_sign_in(self, user, clock, client):
        """Other packages find by the user which session they grant something on."""
        client.force_login(user)
        for seconds in (0, EXPIRED):
            clock.forward(seconds)
            client.cookies.pop(ACCESS, None)
            assert session_of(client.get("/probe/who").wsgi_request.user) == RefreshToken.objects.get().id


class TestHowLongASignInLasts:
    """Each case compares with the time at which Django's own session ends."""

    @pytest.mark.parametrize(("after", "is_in"), [(59, True), (61, False)], ids=["before", "after"])
    def test_is_said_by_set_expiry(self, browser, user, clock, after, is_in):
        browser.get(f"/probe/in-for/{user.pk}/60")
        clock.forward(after)
        assert (who(browser) is not None) is is_in

    @pytest.mark.parametrize(("after", "is_in"), [(1799, True), (1801, False)], ids=["before", "after"])
    @pytest.mark.parametrize("entry_point", ["login()", "force_login"])
    def test_is_said_by_the_setting(self, browser, user, clock, settings, after, is_in, entry_point):
        settings.SESSION_COOKIE_AGE = 1800
        if entry_point == "login()":
            browser.get(f"/probe/in/{user.pk}")
        else:
            browser.force_login(user)
        for passed in (900, after - 900):
            clock.forward(passed)
            found = who(browser)
        assert (found is not None) is is_in

    def test_counts_from_the_last_time_that_the_session_was_saved(self, browser, user, clock, settings):
        settings.SESSION_COOKIE_AGE = 1800
        browser.get(f"/probe/in/{user.pk}")
        for _ in range(4):
            clock.forward(900)
            assert (browser.get("/probe/store/again").status_code, who(browser)) == (200, str(user.pk))
        clock.forward(1801)
        assert who(browser) is None

    def test_is_never_longer_than_the_lifetimes_allow(self, browser, user, clock, settings):
        settings.TOKENS = {"ABSOLUTE_LIFETIME": 3600, "IDLE_LIFETIME": 3600}
        settings.SESSION_COOKIE_AGE = 7200
        browser.get(f"/probe/in/{user.pk}")
        for _ in range(3):
            clock.forward(1190)
            assert (browser.get("/probe/store/again").status_code, who(browser)) == (200, str(user.pk))
        clock.forward(60)
        assert who(browser) is None

    def test_does_not_change_for_a_sign_in_by_the_api(self, browser, user, clock, settings):
        settings.SESSION_COOKIE_AGE = 1800
        login(browser, user, remember=True)
        browser.get("/probe/store/mine")
        for _ in range(3):
            clock.forward(1000)
            assert who(browser) == str(user.pk)

    def test_costs_no_statement_if_nobody_has_decided_it(self, browser, user, clock):
        browser.get(f"/probe/in/{user.pk}")
        sent = statements(lambda: browser.get("/probe/store/mine"))
        assert [sql for sql in sent if sql.startswith(f'UPDATE "{TABLE}"')] == []
        assert RefreshToken.objects.get().expires_at == clock.now + timedelta(days=30)


class TestAVisitorWithASessionCookie:
    @pytest.fixture
    def visitor(self, api: Client, in_a_table: None) -> Client:
        """A browser with a cart and without a user. Without the cart it would have no session that could get lost."""
        assert api.get("/probe/count").content == b"1"
        return api

    def test_costs_a_page_that_does_not_ask_neither_a_query_nor_caching(self, visitor, django_assert_num_queries):
        with django_assert_num_queries(0):
            answer = visitor.get("/probe/public")
        assert "Cookie" not in answer.get("Vary", "")
        assert not answer.cookies

    def test_still_has_their_session(self, visitor):
        assert [visitor.get("/probe/count").content for _ in range(2)] == [b"2", b"3"]
        assert visitor.get("/probe/seen").json()["user"] is None

    def test_keeps_it_while_a_view_uses_another_one(self, visitor, user):
        assert visitor.get("/probe/borrow").json() == {"known": False, "kept": True, "count": 2}
        visitor.force_login(user)
        visitor.cookies.pop(ACCESS, None)
        assert visitor.get("/probe/borrow").json() == {"known": True, "kept": True, "count": 3}
        assert who(visitor) == str(user.pk)

    @pytest.mark.parametrize("path", ["/probe/public", "/probe/count"])
    def test_has_the_page_of_a_sign_in_outside_of_the_middleware(self, visitor, user, path):
        visitor.force_login(user)
        assert visitor.get(path).status_code == 200
        for path in ("/probe/rest", "/probe/async", "/probe/who"):
            visitor.cookies.pop(ACCESS, None)
            assert visitor.get(path).status_code == 200

    def test_who_signs_in_stays_signed_in(self, visitor, user):
        enter(visitor, user)
        assert visitor.get("/probe/count").content == b"2"

    def test_does_not_find_the_data_of_a_session_that_has_ended(self, visitor, user, clock):
        enter(visitor, user)
        visitor.get("/probe/store/mine")
        end_all_sessions()
        clock.forward(2)
        for name in (ACCESS, REFRESH):
            visitor.cookies.pop(name)
        assert visitor.get("/probe/count").content == b"1"
        assert visitor.get("/probe/seen").json()["data"] == {"count": 1}

    def test_gets_503_while_the_database_is_down_and_keeps_the_session(self, visitor):
        with failing():
            assert is_unavailable(visitor.get("/probe/seen"))
            assert visitor.get("/probe/public").status_code == 200
        assert visitor.get("/probe/count").content == b"2"


@pytest.mark.parametrize("kind", [Client, AsyncBrowser], ids=["WSGI", "ASGI"])
def test_a_user_of_the_web_server_is_signed_in(kind, user, settings, in_a_table):
    """By Django's RemoteUserMiddleware, which reads the session under ASGI without waiting for it."""
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    add_middleware(settings, "django.contrib.auth.middleware.RemoteUserMiddleware", inside=True)
    client = kind()
    said = {"REMOTE_USER": user.email, "HTTP_REMOTE_USER": user.email}
    for _ in range(3):
        assert client.get("/probe/who", **said).json()["pk"] == str(user.pk)
    assert client.get("/probe/who").json()["pk"] is None
