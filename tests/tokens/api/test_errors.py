"""Errors: every one of them is a problem (RFC 9457) with a status, a stable code, and the headers that go with it."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from django.test.client import MULTIPART_CONTENT

from tests.browsers import ACCESS, REFRESH, login, post, refresh
from tests.factories import PASSWORD
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.ending import end

pytestmark = pytest.mark.django_db

LOGIN, REFRESH_PATH, LOGOUT = "/api/auth/login", "/api/auth/refresh", "/api/auth/logout"
ME, SESSIONS, REAUTHENTICATE = "/api/auth/me", "/api/auth/sessions", "/api/auth/reauthenticate"
CHALLENGE = 'Bearer error="invalid_token"'


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Hold an answer to RFC 9457 and to our stable fields; return them."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.content)
    assert set(problem) - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    return problem


@pytest.fixture
def bearer(user: Any, settings: Any) -> dict[str, str]:
    """The header of a client that keeps its own tokens, signed in as the user."""
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    return {"Authorization": f"Bearer {login(Client(), user, mode='body')['access_token']}"}


class TestNotSignedIn:
    """401 says which: refresh and retry, or sign in. A program goes by the code."""

    def test_with_nothing_is_not_authenticated(self, api):
        response = api.get(ME)
        assert_problem(response, 401, "not_authenticated")
        # RFC 6750 section 3.1: who brought no token is told of no error.
        assert response["WWW-Authenticate"] == "Bearer"
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize("token", ["garbage", "a.b.c", "", "latchkey_rt_" + "A" * 75])
    def test_with_a_bearer_token_of_nobodys_is_not_authenticated(self, api, token):
        response = api.get(ME, headers={"Authorization": f"Bearer {token}"})
        assert_problem(response, 401, "not_authenticated")
        assert response["WWW-Authenticate"] == CHALLENGE

    def test_with_an_access_cookie_of_nobodys_is_not_authenticated(self, api):
        api.cookies[ACCESS] = "garbage"
        assert_problem(api.get(ME), 401, "not_authenticated")

    def test_with_an_expired_bearer_token_is_token_expired(self, api, clock, bearer):
        assert api.get(ME, headers=bearer).status_code == 200
        clock.forward(601)
        response = api.get(ME, headers=bearer)
        assert_problem(response, 401, "token_expired")
        assert response["WWW-Authenticate"] == CHALLENGE

    def test_with_an_expired_access_cookie_alone_is_token_expired(self, api, user, clock):
        login(api, user)
        del api.cookies[REFRESH]
        clock.forward(601)
        assert_problem(api.get(ME), 401, "token_expired")

    def test_with_a_token_of_an_ended_session_is_session_ended(self, api, user, bearer):
        login(api, user)
        end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        for response in (api.get(ME, headers=bearer), api.get(ME)):
            assert_problem(response, 401, "session_ended")
            assert response["WWW-Authenticate"] == CHALLENGE

    def test_with_a_refused_refresh_cookie_is_session_ended(self, api, user, clock):
        login(api, user)
        end(RefreshToken.objects.filter(user=user), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(601)
        assert_problem(api.get(ME), 401, "session_ended")
        assert_problem(refresh(api), 401, "session_ended")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("get", ME),
            ("get", SESSIONS),
            ("delete", SESSIONS),
            ("patch", f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab"),
            ("delete", f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab"),
            ("post", REAUTHENTICATE),
            ("options", ME),
        ],
    )
    def test_is_told_before_anything_else(self, api, method, path):
        assert_problem(getattr(api, method)(path), 401, "not_authenticated")

    def test_is_told_to_a_head_request_without_a_body(self, api):
        response = api.head(ME)
        assert response.status_code == 401
        assert response.content == b""
        assert response["WWW-Authenticate"] == "Bearer"


class TestAPathThatIsNotThere:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/",
            "/api/nothing",
            "/api/auth",
            "/api/auth/",
            "/api/auth/logins",
            "/api/auth/login/now",
            "/api/auth/login//",
            "/api/auth//login",
            "/api/AUTH/login",
            "/api/auth/login%0a",
            "/api/auth/login%00",
            "/api/auth/%ff",
            "/api/auth/../me",
            "/api/" + "x" * 10_000,
            "/api/auth/sessions/1/2",
        ],
        ids=lambda path: path[:40],
    )
    @pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "trace"])
    def test_is_a_problem_whatever_the_method(self, api, path, method):
        assert_problem(getattr(api, method)(path), 404, "not_found")

    def test_is_the_same_to_who_is_signed_in(self, api, user):
        stranger = Client().get("/api/nothing")
        login(api, user)
        assert api.get("/api/nothing").content == stranger.content

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("application/json", "application/problem+json"),
            ("application/problem+json", "application/problem+json"),
            ("application/json, text/plain, */*", "application/problem+json"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
            ("application/json, text/html", "text/html; charset=utf-8"),
            ("text/*", "text/plain; charset=utf-8"),
            ("*/*", "text/plain; charset=utf-8"),
            ("", "text/plain; charset=utf-8"),
            ("application/json;a*=bogus''x", "application/problem+json"),
            ("json;a*=utf-8''%00;q=é", "application/problem+json"),
        ],
    )
    def test_outside_the_api_is_a_problem_to_who_asks_for_json(self, api, accept, kind):
        response = api.get("/nothing", headers={"Accept": accept})
        assert response.status_code == 404
        assert response["Content-Type"] == kind

    @pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml", "nonsense", "a/b;c*=bogus''d"])
    def test_in_the_api_is_a_problem_whatever_is_accepted(self, api, accept):
        assert_problem(api.get("/api/nothing", headers={"Accept": accept}), 404, "not_found")
        assert_problem(api.get(ME, headers={"Accept": accept}), 401, "not_authenticated")


class TestAMethodThatIsNotThere:
    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("get", LOGIN, {"POST", "OPTIONS"}),
            ("delete", LOGIN, {"POST", "OPTIONS"}),
            ("trace", LOGIN, {"POST", "OPTIONS"}),
            ("get", REFRESH_PATH, {"POST", "OPTIONS"}),
            ("put", LOGOUT, {"POST", "OPTIONS"}),
            ("get", LOGOUT, {"POST", "OPTIONS"}),
        ],
    )
    def test_is_told_with_those_that_are(self, api, method, path, allowed):
        response = getattr(api, method)(path)
        assert_problem(response, 405, "method_not_allowed")
        assert set(response["Allow"].split(", ")) == allowed

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("post", ME, "GET"),
            ("put", SESSIONS, "GET, DELETE"),
            ("get", REAUTHENTICATE, "POST"),
            ("get", f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab", "PATCH, DELETE"),
            ("put", f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab", "PATCH, DELETE"),
        ],
    )
    def test_is_told_to_who_is_signed_in(self, api, user, method, path, allowed):
        login(api, user)
        response = getattr(api, method)(path)
        assert_problem(response, 405, "method_not_allowed")
        assert set(allowed.split(", ")) <= set(response["Allow"].split(", "))

    @pytest.mark.parametrize("method", ["FOO", "CONNECT", "PROPFIND", "get"])
    def test_may_be_one_that_nobody_has_heard_of(self, api, method):
        response = api.generic(method, LOGIN)
        assert_problem(response, 405, "method_not_allowed")

    @pytest.mark.parametrize("path", [LOGIN, REFRESH_PATH, LOGOUT])
    def test_may_be_asked_for(self, api, path):
        response = api.options(path)
        assert response.status_code == 200
        assert set(response["Allow"].split(", ")) == {"POST", "OPTIONS"}
        assert not response.cookies

    def test_head_is_where_get_is(self, api, user):
        assert api.head(LOGIN).status_code == 405
        login(api, user)
        for path in (ME, SESSIONS):
            assert api.head(path).status_code == 200


class TestABodyThatCannotBeRead:
    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            MULTIPART_CONTENT,
            "multipart/form-data",
            "application/xml",
            "application/problem+json",
            "application/json-patch+json",
            "json",
            "application/",
            ";",
            "",
        ],
    )
    def test_for_its_type_is_415(self, api, content_type):
        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            response = api.generic("POST", path, b'{"email": "a", "password": "b"}', content_type=content_type)
            assert_problem(response, 415, "unsupported_media_type")

    @pytest.mark.parametrize(
        "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"]
    )
    def test_for_its_type_is_not_what_json_is(self, api, user, content_type):
        body = json.dumps({"email": user.email, "password": PASSWORD}).encode()
        assert api.generic("POST", LOGIN, body, content_type=content_type).status_code == 200

    def test_for_its_size_is_413(self, api):
        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            response = api.generic("POST", path, b'{"a":"' + b"x" * 2**16 + b'"}', content_type="application/json")
            assert_problem(response, 413, "payload_too_large")

    def test_for_what_it_is_is_400(self, api):
        for path in (LOGIN, REFRESH_PATH, LOGOUT):
            assert_problem(api.generic("POST", path, b"{", content_type="application/json"), 400, "malformed")

    def test_for_its_fields_is_400_and_says_which(self, api):
        problem = assert_problem(post(api, LOGIN, {}), 400, "invalid")
        assert set(problem["errors"]) == {"email", "password"}
        assert problem["errors"]["email"] == ["This field is required."]


class TestForbidden:
    def test_another_origin_is_403(self, api, user):
        response = post(api, LOGIN, {"email": user.email, "password": PASSWORD}, Origin="https://evil.example")
        assert_problem(response, 403, "cross_origin")

    def test_no_recent_sign_in_is_403(self, api, user, clock):
        login(api, user)
        clock.forward(901)
        assert_problem(api.delete(SESSIONS), 403, "reauthentication_required")

    def test_a_wrong_password_is_401(self, api, user):
        response = post(api, LOGIN, {"email": user.email, "password": "wrong"})
        assert_problem(response, 401, "invalid_credentials")
        assert response["WWW-Authenticate"] == "Bearer"

    def test_a_host_that_is_not_ours_is_400(self, api):
        for host in ("evil.example", "testserver.evil.example", "[::1", "a b", "test_server"):
            assert_problem(api.get(ME, headers={"Host": host}), 400, "malformed")


def test_a_bug_of_ours_is_a_problem_that_tells_nothing(api, user, monkeypatch):
    login(api, user)
    api.raise_request_exception = False
    monkeypatch.setattr("tokens.api.serializers.session_data", lambda *args: {}["a secret"])
    response = api.get(ME)
    assert_problem(response, 500, "error")
    assert b"a secret" not in response.content


Ask = Callable[[Client, Any], Any]
REQUESTS: dict[str, Ask] = {
    "login": lambda client, user: post(client, LOGIN, {"email": user.email, "password": PASSWORD}),
    "refresh": lambda client, user: refresh(client),
    "logout": lambda client, user: post(client, LOGOUT),
    "reauthenticate": lambda client, user: post(client, REAUTHENTICATE, {"password": PASSWORD}),
    "me": lambda client, user: client.get(ME),
    "sessions": lambda client, user: client.get(SESSIONS),
    "end others": lambda client, user: client.delete(SESSIONS),
    "end one": lambda client, user: client.delete(f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab"),
    "rename": lambda client, user: client.patch(
        f"{SESSIONS}/01939d2a-7c00-7abc-8def-0123456789ab", {"device_name": "x"}, content_type="application/json"
    ),
}


class TestADatabaseThatIsDown:
    """503 and Retry-After, and no cookie is touched: nothing is known, and nothing is lost."""

    @pytest.fixture(autouse=True)
    def _signed_in(self, api: Client, user: Any, clock: Any) -> None:
        login(api, user)

    def down(self, error: type[Exception], when: str = "") -> Any:
        def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if when in sql:
                raise error("the database is down")
            return execute(sql, params, many, context)

        return connection.execute_wrapper(wrapper)

    @pytest.mark.parametrize("expired", [False, True])
    @pytest.mark.parametrize("error", [OperationalError, InterfaceError])
    @pytest.mark.parametrize("name", REQUESTS)
    def test_is_answered_with_503(self, api, user, clock, name, error, expired):
        if expired:
            clock.forward(601)
        jar = {key: cookie.value for key, cookie in api.cookies.items()}
        with self.down(error):
            response = REQUESTS[name](api, user)
        assert_problem(response, 503, "unavailable")
        assert int(response["Retry-After"]) > 0
        assert "no-store" in response["Cache-Control"]
        assert not response.cookies
        assert {key: cookie.value for key, cookie in api.cookies.items()} == jar
        assert api.get(ME).status_code == 200
        assert RefreshToken.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("name", "when"),
        [
            ("login", "INSERT INTO"),
            ("refresh", "UPDATE"),
            ("logout", "UPDATE"),
            ("logout", "tokens_revocation"),
            ("logout", "tokens_securityevent"),
            ("reauthenticate", "UPDATE"),
        ],
    )
    def test_half_way_through_loses_nothing(self, api, user, name, when):
        events = SecurityEvent.objects.count()
        with self.down(OperationalError, when):
            response = REQUESTS[name](api, user)
        assert_problem(response, 503, "unavailable")
        assert not response.cookies
        assert RefreshToken.objects.get().revoked_at is None
        assert RefreshToken.objects.get().generation == 0
        assert SecurityEvent.objects.count() == events
        assert api.get(ME).status_code == 200
        assert refresh(api).status_code == 200

    def test_hides_no_mistake_in_a_statement(self, api, user):
        # Only an outage passes by itself.
        api.raise_request_exception = False
        with self.down(ProgrammingError):
            assert_problem(REQUESTS["me"](api, user), 500, "error")
