"""Every error is a problem (RFC 9457) with a status, a stable code, and the headers that belong to it."""

import json
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from django.test.client import MULTIPART_CONTENT

from tests.browsers import REFRESH, login, post, refresh
from tests.factories import PASSWORD
from tests.tokens.api.paths import LOGIN, LOGOUT, ME, NO_SESSION, REAUTHENTICATE, REFRESH_PATH, SESSIONS
from tests.tokens.api.steps import assert_problem, bearer, sign_in
from tests.tokens.web_steps import raising
from tokens.api import serializers
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke

pytestmark = pytest.mark.django_db

CHALLENGE = 'Bearer error="invalid_token"'
ONE_SESSION = f"{SESSIONS}/{NO_SESSION}"
REQUESTS = {
    "sign in": ("POST", LOGIN),
    "refresh": ("POST", REFRESH_PATH),
    "sign out": ("POST", LOGOUT),
    "reauthenticate": ("POST", REAUTHENTICATE),
    "me": ("GET", ME),
    "list the sessions": ("GET", SESSIONS),
    "end the other sessions": ("DELETE", SESSIONS),
    "end one session": ("DELETE", ONE_SESSION),
    "rename a device": ("PATCH", ONE_SESSION),
}
PUBLIC = [LOGIN, REFRESH_PATH, LOGOUT]


def ask(client: Client, user: Any, name: str, session_id: str = NO_SESSION, **headers: str) -> Any:
    """Send the request of this name, about this session where it is about one. Its body suits every request."""
    method, path = REQUESTS[name]
    body = json.dumps({"email": user.email, "password": PASSWORD, "device_name": "Renamed"})
    path = path.replace(NO_SESSION, session_id)
    return client.generic(method, path, body, content_type="application/json", headers=headers)


@pytest.fixture
def of_client(user: Any, both_modes: None) -> dict[str, str]:
    """The headers of a client that keeps its own tokens. Without it only errors about cookies would be tested."""
    return bearer(login(Client(), user, mode="body")["access_token"])


class TestNotSignedIn:
    """The code of a 401 tells a client what to do: refresh and repeat the request, or sign in.

    `tests.tokens.api.test_bad_input` tests invalid tokens.
    """

    def test_without_a_token_is_not_authenticated(self, api):
        response = api.get(ME)
        assert_problem(response, 401, "not_authenticated")
        # RFC 6750 section 3.1: the challenge holds no error code if the request held no token.
        assert response["WWW-Authenticate"] == "Bearer"
        assert "no-store" in response["Cache-Control"]
        assert not response.cookies
        head = api.head(ME)
        assert (head.status_code, head.content, head["WWW-Authenticate"]) == (401, b"", "Bearer")

    def test_with_nothing_but_an_expired_access_token_is_token_expired(self, clock, signed_in, of_client):
        assert Client().get(ME, headers=of_client).status_code == 200
        del signed_in.cookies[REFRESH]
        clock.forward(601)
        for response in (Client().get(ME, headers=of_client), signed_in.get(ME)):
            assert_problem(response, 401, "token_expired")
            assert response["WWW-Authenticate"] == CHALLENGE

    def test_with_an_access_token_of_an_ended_session_is_session_ended(self, signed_in, of_client):
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        for response in (signed_in.get(ME, headers=of_client), signed_in.get(ME)):
            assert_problem(response, 401, "session_ended")
            assert response["WWW-Authenticate"] == CHALLENGE

    def test_with_a_refresh_cookie_of_an_ended_session_is_session_ended(self, clock, signed_in):
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        clock.forward(601)
        for response in (signed_in.get(ME), refresh(signed_in)):
            assert_problem(response, 401, "session_ended")

    @pytest.mark.parametrize("name", [name for name, (_, path) in REQUESTS.items() if path not in PUBLIC])
    def test_comes_before_every_other_error(self, api, user, another, name):
        assert_problem(ask(api, user, name, sign_in(another(), user)), 401, "not_authenticated")
        assert_problem(api.options(REQUESTS[name][1]), 401, "not_authenticated")
        assert RefreshToken.objects.live().count() == 1


BAD_PATHS = [
    *["/api/", "/api/nothing", "/api/auth", "/api/auth/", "/api/auth/logins", "/api/auth/login/now"],
    *["/api/auth/login//", "/api/auth//login", "/api/AUTH/login", "/api/auth/login%0a", "/api/auth/login%00"],
    *["/api/auth/%ff", "/api/auth/../me", "/api/" + "x" * 10_000, "/api/auth/sessions/1/2"],
]


class TestAnUnknownPath:
    def test_is_not_found_with_any_method(self, api, subtests):
        for path in BAD_PATHS:
            with subtests.test(path[:40]):
                for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
                    assert_problem(api.generic(method, path), 404, "not_found")

    def test_gets_the_same_response_signed_in_or_not(self, signed_in):
        assert signed_in.get("/api/nothing").content == Client().get("/api/nothing").content


ALLOWED = {
    **{path: {"POST", "OPTIONS"} for path in (*PUBLIC, REAUTHENTICATE)},
    **{path: {"GET", "HEAD", "DELETE", "OPTIONS"} for path in (ME, SESSIONS)},
    ONE_SESSION: {"PATCH", "DELETE", "OPTIONS"},
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "CONNECT", "PROPFIND", "get"]


@pytest.mark.parametrize(("path", "allowed"), ALLOWED.items(), ids=ALLOWED)
def test_a_method_that_is_not_allowed_is_rejected_with_those_that_are(signed_in, path, allowed):
    for client in [signed_in, Client()] if path in PUBLIC else [signed_in]:
        options = client.options(path)
        assert (options.status_code, set(options["Allow"].split(", ")), len(options.cookies)) == (200, allowed, 0)
        for method in [method for method in METHODS if method.upper() not in allowed]:
            response = client.generic(method, path)
            assert_problem(response, 405, "method_not_allowed")
            assert set(response["Allow"].split(", ")) == allowed, method
            assert not response.cookies
        assert client.head(path).status_code == (200 if "HEAD" in allowed else 405)
    assert RefreshToken.objects.get().generation == 0


JSON_TYPES = ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y"]
OTHER_TYPES = [
    *["text/plain", "application/x-www-form-urlencoded", MULTIPART_CONTENT, "multipart/form-data", "application/xml"],
    *["application/problem+json", "application/json-patch+json", "json", "application/", ";", ""],
]


class TestABodyThatCannotBeRead:
    """`tests.tokens.api.test_bad_input` tests bodies that are too large or malformed."""

    def test_because_of_its_type_is_415(self, api, subtests):
        for content_type in OTHER_TYPES:
            with subtests.test(content_type):
                for path in PUBLIC:
                    response = api.generic("POST", path, b'{"email": "a", "password": "b"}', content_type=content_type)
                    assert_problem(response, 415, "unsupported_media_type")

    def test_is_not_one_of_json_with_parameters_or_capitals(self, api, user):
        body = json.dumps({"email": user.email, "password": PASSWORD})
        for content_type in JSON_TYPES:
            assert api.generic("POST", LOGIN, body, content_type=content_type).status_code == 200, content_type

    def test_because_of_its_fields_is_400_and_names_them(self, api):
        problem = assert_problem(post(api, LOGIN, {}), 400, "invalid")
        assert set(problem["errors"]) == {"email", "password"}
        assert problem["errors"]["email"] == ["This field is required."]


OTHER_ORIGINS = {
    "a request of another site": {"Sec-Fetch-Site": "cross-site"},
    "an old browser": {"Origin": "https://evil.example"},
    "a Bearer token that is not ours beside the cookies": {"Origin": "https://evil.example", **bearer("x")},
}


@pytest.mark.parametrize("headers", OTHER_ORIGINS.values(), ids=OTHER_ORIGINS)
def test_a_request_of_another_origin_changes_nothing_and_sets_no_cookie(clock, signed_in, user, another, headers):
    """Which origins are trusted: `tests.tokens.web.http.test_origins`. An app on one: `tests.tokens.web.test_modes`."""
    session_id = signed_in.get(ME).json()["session"]["id"]
    sign_in(another(), user)
    before = list(RefreshToken.objects.values())
    clock.forward(60)
    unsafe = {name for name, (method, _) in REQUESTS.items() if method != "GET"}
    of_bearer = {"reauthenticate", "end the other sessions", "end one session", "rename a device"}
    for name in unsafe - of_bearer if "Authorization" in headers else unsafe:
        for client in (signed_in, Client()):
            response = ask(client, user, name, session_id, **headers)
            assert_problem(response, 403, "cross_origin")
            assert not response.cookies
    assert list(RefreshToken.objects.values()) == before
    assert signed_in.get(ME).json()["session"]["device"]["name"] == "Firefox on Windows"


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "[::1", "a b", "test_server"])
def test_a_host_that_is_not_ours_is_400(api, host):
    assert_problem(api.get(ME, headers={"Host": host}), 400, "malformed")


def test_a_bug_of_ours_is_a_problem_without_details(signed_in, monkeypatch):
    signed_in.raise_request_exception = False
    monkeypatch.setattr(serializers, "session_data", raising(KeyError("a secret")))
    response = signed_in.get(ME)
    assert_problem(response, 500, "error")
    assert b"a secret" not in response.content


def down(error: type[Exception], when: str = "") -> Any:
    """Make every statement that contains ``when`` raise this error."""

    def execute_or_fail(execute: Any, sql: str, *arguments: Any) -> Any:
        if when in sql:
            raise error("the database is down")
        return execute(sql, *arguments)

    return connection.execute_wrapper(execute_or_fail)


class TestADatabaseThatIsDown:
    """The response is 503 with Retry-After. It sets no cookie, because the server cannot know the session's state."""

    @pytest.mark.parametrize("expired", [False, True], ids=["a valid access token", "an expired access token"])
    @pytest.mark.parametrize(
        ("name", "error"), [*((name, OperationalError) for name in REQUESTS), ("me", InterfaceError)]
    )
    def test_is_answered_with_503(self, clock, signed_in, user, name, error, expired):
        clock.forward(601 if expired else 0)
        cookies = {key: cookie.value for key, cookie in signed_in.cookies.items()}
        with down(error):
            response = ask(signed_in, user, name)
        assert_problem(response, 503, "unavailable")
        assert int(response["Retry-After"]) > 0
        assert "no-store" in response["Cache-Control"]
        assert not response.cookies
        assert {key: cookie.value for key, cookie in signed_in.cookies.items()} == cookies
        assert (signed_in.get(ME).status_code, RefreshToken.objects.count()) == (200, 1)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("name", "when"),
        [
            ("sign in", "INSERT INTO"),
            ("refresh", "UPDATE"),
            ("sign out", "UPDATE"),
            ("sign out", "tokens_revocation"),
            ("sign out", "tokens_securityevent"),
            ("reauthenticate", "UPDATE"),
        ],
    )
    def test_in_the_middle_of_a_request_changes_nothing(self, clock, signed_in, user, name, when):
        events = SecurityEvent.objects.count()
        with down(OperationalError, when):
            response = ask(signed_in, user, name)
        assert_problem(response, 503, "unavailable")
        assert not response.cookies
        row = RefreshToken.objects.get()
        assert (row.revoked_at, row.generation, SecurityEvent.objects.count()) == (None, 0, events)
        assert signed_in.get(ME).status_code == 200
        assert refresh(signed_in).status_code == 200

    def test_hides_no_mistake_in_a_statement(self, signed_in, user):
        # Only an outage passes, so only an outage is answered with 503.
        signed_in.raise_request_exception = False
        with down(ProgrammingError):
            assert_problem(ask(signed_in, user, "me"), 500, "error")
