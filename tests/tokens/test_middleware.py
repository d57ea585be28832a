"""The middleware: signed in without a query, refreshed unseen, and which answers may set or clear cookies."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client

from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH, AsyncBrowser, login, post, refresh
from tests.factories import UserFactory
from tokens.models import RefreshToken
from tokens.service import acknowledgements, grants
from tokens.service.ending import end
from tokens.service.feed import feed

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

Queries = Callable[[int], AbstractContextManager[Any]]
EXPIRED = 601
TOKENS = {ACCESS, REFRESH}


@pytest.fixture(params=["wsgi", "asgi"])
def api(request: pytest.FixtureRequest) -> Client:
    """A browser, in front of either kind of server: the middleware must not know the difference."""
    kind = Client if request.param == "wsgi" else AsyncBrowser
    return kind(headers={"User-Agent": FIREFOX})


@pytest.fixture
def read_feed(clock: Any) -> None:
    """Lets the process know of all revocations, so that the next request asks for none."""
    feed.is_revoked(uuid4())


def test_a_valid_access_token_costs_no_query(api, user, read_feed, django_assert_num_queries):
    signed_in = login(api, user)
    with django_assert_num_queries(0):
        response = api.get("/probe/who")
    assert response.json() == {"pk": str(user.pk), "sid": signed_in["session"]["id"]}
    assert not response.cookies


def test_an_answer_that_looked_at_who_asks_is_nobody_elses(api, user):
    """Also to a shared cache that does not heed Vary; what a view says of caching itself stands."""
    login(api, user)
    assert api.get("/probe/who")["Cache-Control"] == "private"
    assert "Cache-Control" not in api.get("/probe/public").headers
    assert api.get("/probe/cached")["Cache-Control"] == "max-age=60"


def test_an_answer_to_nobody_may_be_kept(api):
    assert "Cache-Control" not in api.get("/probe/who").headers


def test_more_than_who_it_is_loads_the_user_once(api, user, read_feed, django_assert_num_queries):
    login(api, user)
    with django_assert_num_queries(1):
        assert api.get("/probe/email").json() == {"email": user.email, "again": user.email}


def test_an_expired_access_token_is_refreshed_and_the_same_request_served(api, user, clock):
    login(api, user)
    old = api.cookies[REFRESH].value
    clock.forward(EXPIRED)
    response = api.get("/probe/who")
    assert response.json()["pk"] == str(user.pk)
    assert set(response.cookies) == TOKENS
    assert response.cookies[REFRESH].value != old
    assert not api.get("/probe/who").cookies


def test_a_missing_access_cookie_is_refreshed_too(api, user):
    login(api, user)
    del api.cookies[ACCESS]
    assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_a_post_is_refreshed_with_its_data_kept(api, user, clock):
    login(api, user)
    clock.forward(EXPIRED)
    response = post(api, "/probe/rest", {"some": "thing"})
    assert response.status_code == 200
    assert set(response.cookies) == TOKENS


def test_parallel_requests_get_the_same_successor(api, user, another, clock):
    login(api, user)
    clock.forward(EXPIRED)
    tabs = [another() for _ in range(5)]
    for tab in tabs:
        tab.cookies = api.cookies.copy()
    successors = {tab.get("/probe/who").cookies[REFRESH].value for tab in tabs}
    assert len(successors) == 1
    assert RefreshToken.objects.get().generation == 1


@pytest.mark.parametrize("path", ["/probe/fails", "/nowhere", "/probe/public"])
def test_the_new_cookies_are_set_whatever_the_response_is(api, user, clock, path):
    api.raise_request_exception = False
    login(api, user)
    clock.forward(EXPIRED)
    response = api.get(path)
    assert set(response.cookies) == TOKENS
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]
    assert "Cookie" in response["Vary"]


def test_cookies_are_httponly_secure_lax_and_bound_to_the_host(api, user):
    login(api, user)
    assert set(api.cookies) == {ACCESS, REFRESH, DEVICE}
    for cookie in api.cookies.values():
        assert cookie["httponly"] is True
        assert cookie["secure"] is True
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""


def test_over_plain_http_in_development_cookies_lose_prefix_and_secure(api, user, settings):
    settings.DEBUG, settings.ORIGIN = True, "http://localhost:8000"
    login(api, user)
    assert set(api.cookies) == {"access", "refresh", "device"}
    assert not any(cookie["secure"] for cookie in api.cookies.values())
    assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_the_access_cookie_lives_as_long_as_the_refresh_cookie(api, user, clock):
    login(api, user, remember=True)
    assert api.cookies[ACCESS]["max-age"] == api.cookies[REFRESH]["max-age"] == 14 * 86400


def test_without_remember_me_the_cookies_go_with_the_browser(api, user):
    login(api, user)
    assert api.cookies[ACCESS]["max-age"] == api.cookies[REFRESH]["max-age"] == ""


def test_a_response_that_depends_on_who_asks_says_so(api, user):
    assert "Cookie" in api.get("/probe/who")["Vary"]
    login(api, user)
    assert "Cookie" in api.get("/probe/who")["Vary"]
    assert "Cookie" not in api.get("/probe/public")["Vary"]


def test_a_bearer_token_is_taken_and_no_cookie_looked_at(api, user, another, settings):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    bearer = login(another(), user, mode="body")["access_token"]
    login(api, UserFactory())
    response = api.get("/probe/who", headers={"Authorization": f"Bearer {bearer}"})
    assert response.json()["pk"] == str(user.pk)
    assert api.get("/probe/who", headers={"Authorization": "Bearer nonsense"}).json()["pk"] is None


def test_a_bearer_request_is_not_refreshed_by_cookie(api, user, clock):
    login(api, user)
    clock.forward(EXPIRED)
    response = api.get("/probe/who", headers={"Authorization": f"Bearer {api.cookies[ACCESS].value}"})
    assert response.json()["pk"] is None
    assert not response.cookies


def test_an_access_token_dies_within_the_lag_of_its_revocation(api, user, clock):
    login(api, user)
    api.get("/probe/who")
    end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
    feed._revoked.clear()  # As if another process had ended it: ours has not heard yet.
    assert api.get("/probe/who").json()["pk"] == str(user.pk)
    clock.forward(1)
    assert api.get("/probe/who").json()["pk"] is None


class TestATokenSeenBefore:
    """Nearly every one is. Less is looked at for it, and the answer must be the same."""

    @pytest.fixture(autouse=True)
    def _seen(self, api: Client, user: Any, read_feed: None) -> None:
        login(api, user)
        assert api.get("/probe/who").json()["pk"] == str(user.pk)

    def test_expires(self, api, user, clock):
        clock.forward(EXPIRED)
        feed.is_revoked(uuid4())
        assert set(api.get("/probe/who").cookies) >= TOKENS

    def test_is_taken_from_our_own_origin_alone(self, api):
        assert post(api, "/probe/rest", **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert post(api, "/probe/rest", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403

    def test_is_not_looked_at_beside_a_header(self, api):
        for header in ("Bearer nonsense", "Bearer"):
            assert api.get("/probe/who", headers={"Authorization": header}).json()["pk"] is None

    def test_proves_that_it_arrived(self, api, clock):
        clock.forward(EXPIRED)
        api.get("/probe/who")
        api.get("/probe/who")
        clock.forward(91)
        feed.is_revoked(uuid4())
        api.get("/probe/who")
        assert acknowledgements.flush()
        assert RefreshToken.objects.get().acknowledged

    def test_gives_way_to_a_sign_in_that_django_alone_knows_of(self, api):
        other, elsewhere = UserFactory(), Client()
        elsewhere.force_login(other)
        name = django_settings.SESSION_COOKIE_NAME
        api.cookies[name] = elsewhere.cookies[name].value
        assert api.get("/probe/who").json()["pk"] == str(other.pk)

    def test_is_good_in_a_browser_that_was_closed_only_where_it_may_be(self, api, user, monkeypatch):
        monkeypatch.setattr(grants, "goes_with_the_browser", lambda session: True)
        login(api, user)
        del api.cookies[REFRESH]
        for _ in range(2):
            assert api.get("/probe/who").json()["pk"] is None
        api.cookies["__Host-open"] = "1"
        assert api.get("/probe/who").json()["pk"] == str(user.pk)


class TestARefusal:
    """A definite refusal clears the cookies on page navigations and the auth API, and nowhere else."""

    @pytest.fixture(autouse=True)
    def _ended(self, api: Client, user: Any, clock: Any) -> None:
        login(api, user)
        end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(EXPIRED)

    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Fetch-Mode": "navigate"}, {"Accept": "text/html,*/*"}],
        ids=["told by the browser", "guessed"],
    )
    def test_clears_the_cookies_of_a_navigation_but_not_the_device(self, api, headers):
        response = api.get("/probe/public", headers=headers)
        assert response.status_code == 200
        assert {name: cookie["max-age"] for name, cookie in response.cookies.items()} == {ACCESS: 0, REFRESH: 0}
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/sessions", "/api/auth/sessions/"])
    def test_clears_the_cookies_of_the_auth_api(self, api, path):
        response = api.get(path)
        assert response.json()["code"] == "session_ended"
        assert set(response.cookies) == TOKENS

    def test_leaves_the_cookies_of_any_other_request(self, api):
        response = api.get("/probe/who", headers={"Sec-Fetch-Mode": "cors", "Accept": "text/html"})
        assert response.json()["pk"] is None
        assert not response.cookies

    @pytest.mark.parametrize(
        "ask",
        [
            lambda late: late.get("/probe/public", headers={"Sec-Fetch-Mode": "navigate"}),
            lambda late: late.get("/api/auth/me"),
            refresh,
        ],
        ids=["navigation", "auth API", "refresh"],
    )
    def test_that_comes_late_leaves_the_cookies_of_a_newer_sign_in(self, api, user, ask):
        """The same browser has signed in while the answer to an older request of its was on its way."""
        late = Client(headers={"User-Agent": FIREFOX})
        late.cookies.load({name: cookie.value for name, cookie in api.cookies.items()})
        login(api, user)
        assert not TOKENS & set(ask(late).cookies)

    def test_does_not_stand_in_the_way_of_signing_in(self, api, user):
        login(api, user)
        assert api.get("/probe/who").json()["pk"] == str(user.pk)


def test_an_unknown_key_clears_no_cookie(api, user, settings, clock):
    login(api, user)
    settings.SECRET_KEY = "another secret that is long enough to be taken for a real one, too"
    response = api.get("/probe/public", headers={"Sec-Fetch-Mode": "navigate"})
    assert not response.cookies


class TestADatabaseThatIsDown:
    @pytest.fixture(autouse=True)
    def _expired(self, api: Client, user: Any, clock: Any) -> None:
        login(api, user)
        clock.forward(EXPIRED)

    @staticmethod
    def down(*args: Any) -> Any:
        raise OperationalError("the database is down")

    @pytest.mark.parametrize("path", ["/probe/who", "/api/auth/me"])
    def test_is_answered_with_503_and_no_cookie_touched(self, api, path):
        with connection.execute_wrapper(self.down):
            response = api.get(path, headers={"Sec-Fetch-Mode": "navigate"})
        assert response.status_code == 503
        assert int(response["Retry-After"]) > 0
        assert not response.cookies

    def test_is_forgotten_by_the_next_request(self, api, user):
        with connection.execute_wrapper(self.down):
            api.get("/probe/who")
        assert api.get("/probe/who").json()["pk"] == str(user.pk)


@pytest.mark.parametrize("strict", [False, True])
def test_while_revocations_cannot_be_read_access_tokens_are_good_unless_strict(api, user, clock, settings, strict):
    settings.TOKENS = {"REVOCATION_STRICT": strict}
    login(api, user)
    clock.forward(2)
    with connection.execute_wrapper(TestADatabaseThatIsDown.down):
        response = api.get("/probe/who")
    assert response.status_code == (503 if strict else 200)
    assert not response.cookies


class TestAnotherOrigin:
    """An unsafe request signed in by cookie must come from our own origin, and never causes a rotation else."""

    HEADERS = ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://testserver:444"})

    @pytest.mark.parametrize("headers", HEADERS)
    def test_is_refused_when_signed_in_by_cookie(self, api, user, headers):
        login(api, user)
        response = post(api, "/probe/rest", **headers)
        assert response.status_code == 403
        assert not response.cookies

    @pytest.mark.parametrize("headers", HEADERS)
    def test_never_causes_a_rotation(self, api, user, clock, headers):
        login(api, user)
        clock.forward(EXPIRED)
        response = post(api, "/probe/rest", **headers)
        assert response.status_code == 403
        assert not response.cookies
        assert RefreshToken.objects.get().generation == 0

    def test_may_navigate_here_and_is_refreshed(self, api, user, clock):
        login(api, user)
        clock.forward(EXPIRED)
        response = api.get("/probe/who", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
        assert response.json()["pk"] == str(user.pk)

    def test_does_not_concern_strangers_or_bearers(self, api, user, settings):
        settings.TOKENS = {"MODES": ["body"]}
        bearer = login(api, user)["access_token"]
        headers = {"Sec-Fetch-Site": "cross-site", "Authorization": f"Bearer {bearer}"}
        assert post(api, "/probe/rest", **headers).status_code == 200


class TestTheEcosystemsOwnDoors:
    def test_login_by_anybody_opens_a_session(self, api, user):
        response = api.get(f"/probe/sign-in/{user.email}")
        assert set(response.cookies) >= {ACCESS, REFRESH, DEVICE}
        assert api.get("/probe/members").content == b"members"
        assert RefreshToken.objects.get().user == user

    def test_logout_by_anybody_ends_it(self, api, user):
        login(api, user)
        response = api.get("/probe/sign-out")
        assert response.cookies[REFRESH]["max-age"] == 0
        assert RefreshToken.objects.get().revoked_reason == RefreshToken.Reason.SIGNED_OUT

    def test_a_view_that_signs_out_has_the_last_word_on_the_cookies(self, api, user, clock):
        login(api, user)
        clock.forward(EXPIRED)
        response = api.get("/probe/sign-out")
        assert {cookie["max-age"] for name, cookie in response.cookies.items() if name in TOKENS} == {0}

    def test_a_view_that_signs_in_has_the_last_word_on_the_cookies(self, api, user, clock):
        login(api, UserFactory())
        clock.forward(EXPIRED)
        api.get(f"/probe/sign-in/{user.email}")
        assert api.get("/probe/who").json()["pk"] == str(user.pk)

    def test_what_django_keeps_of_a_sign_in_never_signs_in(self, api, user):
        api.get(f"/probe/sign-in/{user.email}")
        end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        assert "__Host-session" in api.cookies
        assert api.get("/probe/who").json()["pk"] is None
        del api.cookies[ACCESS]
        del api.cookies[REFRESH]
        assert api.get("/probe/who").json()["pk"] is None


class TestASlowAnswer:
    """New cookies are not set for a session that was revoked or superseded while the request ran."""

    @pytest.fixture(autouse=True)
    def _expired(self, api: Client, user: Any, clock: Any) -> None:
        login(api, user)
        clock.forward(EXPIRED)

    def test_does_not_undo_a_sign_in_made_meanwhile(self, api, user, another):
        meanwhile = another()
        meanwhile.cookies[DEVICE] = api.cookies[DEVICE].value
        with connection.execute_wrapper(_after_rotation(lambda: login(meanwhile, user))):
            response = api.get("/probe/public")
        assert not response.cookies
        assert meanwhile.get("/probe/who").json()["pk"] == str(user.pk)

    def test_does_not_undo_a_sign_out_made_meanwhile(self, api, user):
        sessions = RefreshToken.objects.filter(user=user)
        with connection.execute_wrapper(_after_rotation(lambda: end(sessions, RefreshToken.Reason.SIGNED_OUT))):
            response = api.get("/probe/public")
        assert not response.cookies


def _after_rotation(action: Callable[[], Any]) -> Any:
    """Run ``action`` right after the rotation was written: while the view runs, as far as the middleware can tell."""
    done: list[bool] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not done:
            done.append(True)
            action()
        return result

    return wrapper


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/refresh", "/api/auth/logout/"])
def test_the_views_that_look_at_the_refresh_cookie_are_left_to_it(api, user, clock, path):
    login(api, user)
    clock.forward(EXPIRED)
    api.get(path)
    assert RefreshToken.objects.get().generation == 0


def test_a_view_of_rest_framework_needs_one_authentication_class(api, user):
    assert api.get("/probe/rest").status_code == 401
    login(api, user)
    assert api.get("/probe/rest").json() == {"email": user.email, "gen": 0}
    refresh(api)
    assert api.get("/probe/rest").json()["gen"] == 1


def test_a_user_switched_off_behind_our_back_turns_out_to_be_nobody_when_loaded(api, user):
    login(api, user)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
    with pytest.raises(AttributeError, match="AnonymousUser"):
        api.get("/probe/email")
