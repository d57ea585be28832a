"""The middleware: it signs a request in without a query, refreshes expired tokens, and sets and clears the cookies."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from tests.browsers import ACCESS, DEVICE, FIREFOX, OPEN, REFRESH, login, post, refresh
from tests.factories import UserFactory
from tests.tokens.web_steps import EXPIRED, database_down, is_unavailable, unsigned, values_of, who
from tokens.models import RefreshToken
from tokens.service import acknowledgements, issuing
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import feed

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

TOKENS = {ACCESS, REFRESH}
TO_A_PAGE, BY_SCRIPT = {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
Reason = RefreshToken.Reason


@pytest.fixture
def api(browser: Client) -> Client:
    """The browser in front of either kind of server. With one kind a fault in the other's way would go unnoticed."""
    return browser


@pytest.fixture
def expired(clock: Any, signed_in: Client) -> Client:
    """The signed-in browser, after its access token has expired. Otherwise no request would be refreshed."""
    clock.forward(EXPIRED)
    return signed_in


@pytest.fixture
def read_feed(clock: Any) -> None:
    """Lets the process read of all revocations. Without it the next request would ask for them, and cost a query."""
    feed.is_revoked(uuid4())


def revoke_user(user: Any, reason: RefreshToken.Reason = Reason.ENDED_BY_STAFF) -> None:
    revoke(RefreshToken.objects.filter(user=user), reason)


class TestAValidAccessToken:
    def test_it_costs_no_query(self, read_feed, signed_in, user, django_assert_num_queries):
        with django_assert_num_queries(0):
            response = signed_in.get("/probe/who")
        assert response.json() == {"pk": str(user.pk), "sid": str(RefreshToken.objects.get().id)}
        assert not response.cookies

    def test_a_view_that_needs_more_loads_the_user_once(self, read_feed, signed_in, user, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert signed_in.get("/probe/email").json() == {"email": user.email, "again": user.email}

    def test_a_view_of_rest_framework_needs_one_authentication_class(self, api, user):
        assert api.get("/probe/rest").status_code == 401
        login(api, user)
        assert api.get("/probe/rest").json() == {"email": user.email, "gen": 0}
        refresh(api)
        assert api.get("/probe/rest").json()["gen"] == 1

    def test_a_user_switched_off_behind_our_back_turns_out_to_be_nobody_when_loaded(self, signed_in):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
        with pytest.raises(AttributeError, match="AnonymousUser"):
            signed_in.get("/probe/email")

    def test_an_access_token_dies_within_the_lag_of_its_revocation(self, clock, signed_in, user):
        signed_in.get("/probe/who")
        revoke_user(user)
        feed._revoked.clear()  # As if another process had revoked it, and this one had not read of it yet.
        assert who(signed_in) == str(user.pk)
        clock.forward(1)
        assert who(signed_in) is None

    @pytest.mark.parametrize("strict", [False, True], ids=["not strict", "strict"])
    def test_while_revocations_cannot_be_read_it_is_accepted_unless_strict(self, clock, api, user, settings, strict):
        settings.TOKENS = {"REVOCATION_STRICT": strict}
        login(api, user)
        clock.forward(2)
        with database_down():
            response = api.get("/probe/who")
        assert (response.status_code, len(response.cookies)) == (503 if strict else 200, 0)
        assert is_unavailable(response) is strict


def test_a_response_to_a_cookie_has_the_caching_that_its_view_sets(signed_in):
    """`tests.tokens.web.test_audience` tests the caching of all other responses."""
    assert signed_in.get("/probe/cached")["Cache-Control"] == "max-age=60"


class TestRefreshing:
    @pytest.mark.parametrize("is_expired", [True, False], ids=["expired", "missing"])
    def test_without_a_valid_access_token_the_request_is_refreshed_and_served(self, clock, signed_in, user, is_expired):
        old = signed_in.cookies[REFRESH].value
        if is_expired:
            clock.forward(EXPIRED)
        else:
            del signed_in.cookies[ACCESS]
        response = signed_in.get("/probe/who")
        assert response.json()["pk"] == str(user.pk)
        assert set(response.cookies) == TOKENS
        assert response.cookies[REFRESH].value != old
        assert not signed_in.get("/probe/who").cookies

    def test_a_post_is_refreshed_and_keeps_its_data(self, expired):
        response = post(expired, "/probe/rest", {"some": "thing"})
        assert (response.status_code, set(response.cookies)) == (200, TOKENS)

    def test_parallel_requests_get_the_same_successor(self, expired, another):
        tabs = [another() for _ in range(5)]
        for tab in tabs:
            tab.cookies = expired.cookies.copy()
        assert len({tab.get("/probe/who").cookies[REFRESH].value for tab in tabs}) == 1
        assert RefreshToken.objects.get().generation == 1

    @pytest.mark.parametrize("path", ["/probe/fails", "/nowhere", "/probe/public"])
    def test_the_new_cookies_are_set_whatever_the_response_is(self, expired, path):
        expired.raise_request_exception = False
        response = expired.get(path)
        assert set(response.cookies) == TOKENS
        assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
        assert "Cookie" in response["Vary"]

    @pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/refresh", "/api/auth/logout/"])
    def test_views_that_read_the_refresh_cookie_themselves_are_not_refreshed(self, expired, path):
        expired.get(path)
        assert RefreshToken.objects.get().generation == 0


def test_over_plain_http_the_cookies_have_no_prefix_and_are_not_secure(api, user, settings):
    """`tests.tokens.web.http.test_cookies` tests those of a server with TLS."""
    settings.DEBUG, settings.ORIGIN = True, "http://localhost:8000"
    login(api, user)
    assert {"access", "refresh", "device"} <= set(api.cookies)
    for cookie in map(api.cookies.__getitem__, ("access", "refresh", "device")):
        names = ("httponly", "samesite", "path", "domain", "secure")
        assert [cookie[name] for name in names] == [True, "Lax", "/", "", ""]
    assert who(api) == str(user.pk)


class TestABearerToken:
    def test_it_is_used_instead_of_the_cookies(self, api, user, another, both_modes):
        bearer = login(another(), user, mode="body")["access_token"]
        login(api, UserFactory())
        for token, pk in [(bearer, str(user.pk)), (unsigned(), None)]:
            assert api.get("/probe/who", headers={"Authorization": f"Bearer {token}"}).json()["pk"] == pk

    def test_an_expired_one_is_not_refreshed_by_cookie(self, expired):
        response = expired.get("/probe/who", headers={"Authorization": f"Bearer {expired.cookies[ACCESS].value}"})
        assert (response.json()["pk"], len(response.cookies)) == (None, 0)


class TestATokenSeenBefore:
    """Most tokens have been seen before. The middleware then checks less, and its answer must be the same."""

    @pytest.fixture(autouse=True)
    def _seen(self, read_feed: None, signed_in: Client, user: Any) -> None:
        """Lets the process verify the access token. Without it the process would see the token for the first time."""
        assert who(signed_in) == str(user.pk)

    def test_it_expires(self, api, clock):
        clock.forward(EXPIRED)
        feed.is_revoked(uuid4())
        assert set(api.get("/probe/who").cookies) >= TOKENS

    def test_it_is_accepted_only_from_the_own_origin(self, api):
        assert post(api, "/probe/rest", **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert post(api, "/probe/rest", **CROSS_SITE).status_code == 403

    def test_it_is_ignored_beside_a_bearer_token_of_ours(self, api):
        assert api.get("/probe/who", headers={"Authorization": f"Bearer {unsigned()}"}).json()["pk"] is None

    def test_its_use_acknowledges_that_the_client_received_it(self, api, clock):
        clock.forward(EXPIRED)
        for _ in range(2):
            api.get("/probe/who")
        clock.forward(91)
        feed.is_revoked(uuid4())
        api.get("/probe/who")
        assert acknowledgements.flush()
        assert RefreshToken.objects.get().acknowledged

    def test_a_sign_in_that_only_djangos_session_has_replaces_it(self, api):
        other, elsewhere = UserFactory(), Client()
        elsewhere.force_login(other)
        api.cookies.load(values_of(elsewhere, django_settings.SESSION_COOKIE_NAME))
        assert who(api) == str(other.pk)

    def test_if_it_is_valid_only_while_the_browser_is_open_it_needs_that_cookie(self, api, user, monkeypatch):
        monkeypatch.setattr(issuing, "ends_with_browser", lambda session: True)
        login(api, user)
        del api.cookies[REFRESH]
        assert [who(api) for _ in range(2)] == [None, None]
        api.cookies[OPEN] = "1"
        assert who(api) == str(user.pk)


class TestARefusal:
    """When a refresh token is refused for good, pages and the auth API clear the cookies. No other response does."""

    @pytest.fixture(autouse=True)
    def _ended(self, clock: Any, signed_in: Client, user: Any) -> None:
        """Ends the session, and lets its access token expire. Otherwise no refresh would be refused."""
        revoke_user(user)
        clock.forward(EXPIRED)

    @pytest.mark.parametrize(
        "headers", [TO_A_PAGE, {"Accept": "text/html,*/*"}], ids=["the browser says so", "a guess"]
    )
    def test_the_response_to_a_navigation_clears_the_cookies_except_that_of_the_device(self, api, headers):
        response = api.get("/probe/public", headers=headers)
        assert response.status_code == 200
        session = django_settings.SESSION_COOKIE_NAME
        ages = {name: cookie["max-age"] for name, cookie in response.cookies.items()}
        assert ages == {ACCESS: 0, REFRESH: 0, session: 0}
        assert "no-store" in response["Cache-Control"]

    def test_the_cookies_are_cleared_in_a_browser_without_a_session_of_djangos(self, api):
        del api.cookies[django_settings.SESSION_COOKIE_NAME]
        assert set(api.get("/probe/public", headers=TO_A_PAGE).cookies) == TOKENS

    @pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/sessions", "/api/auth/sessions/"])
    def test_the_auth_api_clears_the_cookies(self, api, path):
        response = api.get(path)
        cookies = TOKENS | {django_settings.SESSION_COOKIE_NAME}
        assert (response.json()["code"], set(response.cookies)) == ("session_ended", cookies)

    def test_any_other_response_leaves_the_cookies(self, api):
        response = api.get("/probe/who", headers=BY_SCRIPT)
        assert (response.json()["pk"], len(response.cookies)) == (None, 0)

    @pytest.mark.parametrize(
        "ask",
        [lambda late: late.get("/probe/public", headers=TO_A_PAGE), lambda late: late.get("/api/auth/me"), refresh],
        ids=["navigation", "auth API", "refresh"],
    )
    def test_a_late_one_leaves_the_cookies_of_a_newer_sign_in(self, api, user, ask):
        """The browser has signed in while the response to an older request was on its way."""
        late = Client(headers={"User-Agent": FIREFOX})
        late.cookies.load(values_of(api))
        login(api, user)
        assert not TOKENS & set(ask(late).cookies)


def test_a_token_by_an_unknown_key_clears_no_cookie(clock, signed_in, settings):
    settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
    assert not signed_in.get("/probe/public", headers=TO_A_PAGE).cookies


def test_while_the_database_is_down_an_expired_token_is_503_and_the_cookies_stay_valid(expired, user):
    with database_down():
        assert is_unavailable(expired.get("/probe/who", headers=TO_A_PAGE))
    assert who(expired) == str(user.pk)


class TestAnotherOrigin:
    """An unsafe request that a cookie signs in must come from the own origin. No other one rotates the token."""

    @pytest.mark.parametrize(
        "headers",
        [CROSS_SITE, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://testserver:444"}],
        ids=["another site", "another host of the site", "another port"],
    )
    @pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["valid", "expired"])
    def test_an_unsafe_request_by_cookie_is_refused_and_rotates_nothing(self, clock, signed_in, headers, seconds):
        clock.forward(seconds)
        response = post(signed_in, "/probe/rest", **headers)
        assert (response.status_code, len(response.cookies), RefreshToken.objects.get().generation) == (403, 0, 0)

    def test_a_link_from_there_gets_a_page_that_refreshes(self, expired, user):
        response = expired.get("/probe/who", headers={**CROSS_SITE, **TO_A_PAGE})
        assert ("tokens/crossing.js" in response.content.decode(), dict(response.cookies)) == (True, {})
        assert who(expired) == str(user.pk)

    def test_a_bearer_token_is_accepted_from_any_origin(self, api, user, settings):
        settings.TOKENS = {"MODES": ["body"]}
        bearer = login(api, user)["access_token"]
        assert post(api, "/probe/rest", **CROSS_SITE, Authorization=f"Bearer {bearer}").status_code == 200


class TestDjangosLoginAndLogout:
    """A view of any package calls `django.contrib.auth.login` or `logout`."""

    @pytest.mark.parametrize("path", ["sign-in", "announce-sign-in"], ids=["login()", "only its signal"])
    def test_login_by_anybody_opens_a_session(self, api, user, path):
        """Some packages with tokens of their own only send the signal, and write nothing to Django's session."""
        assert set(api.get(f"/probe/{path}/{user.email}").cookies) >= {ACCESS, REFRESH, DEVICE}
        assert (api.get("/probe/members").content, RefreshToken.objects.get().user) == (b"members", user)

    @pytest.mark.parametrize("seconds", [0, EXPIRED], ids=["valid", "expired"])
    def test_logout_ends_it_and_clears_the_cookies_even_if_the_request_was_refreshed(self, clock, signed_in, seconds):
        clock.forward(seconds)
        response = signed_in.get("/probe/sign-out")
        assert [response.cookies[name]["max-age"] for name in TOKENS] == [0, 0]
        assert RefreshToken.objects.get().revoked_reason == Reason.SIGNED_OUT

    def test_login_replaces_the_cookies_of_a_session_that_was_refreshed(self, expired):
        other = UserFactory()
        expired.get(f"/probe/sign-in/{other.email}")
        assert who(expired) == str(other.pk)

    def test_djangos_session_never_signs_in_by_itself(self, api, user):
        api.get(f"/probe/sign-in/{user.email}")
        revoke_user(user)
        assert "__Host-session" in api.cookies
        assert who(api) is None
        for name in TOKENS:
            del api.cookies[name]
        assert who(api) is None


class TestASlowResponse:
    """If the session was revoked or superseded while the request ran, the response sets no new cookies."""

    def test_it_does_not_undo_a_sign_in_made_meanwhile(self, expired, user, another):
        meanwhile = another()
        meanwhile.cookies[DEVICE] = expired.cookies[DEVICE].value
        with connection.execute_wrapper(_after_rotation(lambda: login(meanwhile, user))):
            assert not expired.get("/probe/public").cookies
        assert who(meanwhile) == str(user.pk)

    def test_it_does_not_undo_a_sign_out_made_meanwhile(self, expired, user):
        with connection.execute_wrapper(_after_rotation(lambda: revoke_user(user, Reason.SIGNED_OUT))):
            assert not expired.get("/probe/public").cookies


def _after_rotation(action: Callable[[], Any]) -> Any:
    """Run ``action`` once, right after the rotation was written. For the middleware this is while the view runs."""
    done: list[bool] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not done:
            done.append(True)
            action()
        return result

    return wrapper
