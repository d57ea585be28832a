"""Users whom something else than our tokens has authenticated: REST framework's test client, a middleware, a test."""

from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from tests.browsers import login
from tests.factories import UserFactory
from tests.tokens.web_steps import add_middleware
from tests.urls import rest
from tokens.api.authentication import TokenAuthentication

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite"), pytest.mark.urls("tests.urls")]


def sets_user(get_response: Any) -> Any:
    """As a middleware of a project does that authenticates by a client certificate."""

    def middleware(request: Any) -> Any:
        if email := request.headers.get("X-Certificate"):
            request.user = UserFactory._meta.model.objects.get(email=email)
        return get_response(request)

    return middleware


class TestForceAuthenticate:
    @pytest.fixture
    def client(self, user: Any) -> APIClient:
        """REST framework's client, which sets the user. With a token, a view that relies on one would not fail."""
        client = APIClient()
        client.force_authenticate(user)
        return client

    def test_is_told_who_is_signed_in(self, client, user):
        answer = client.get("/api/auth/me")
        assert (answer.status_code, answer.json()["user"]["id"]) == (200, str(user.pk))
        assert (answer.json()["session"], answer.json()["access_token_expires_at"]) == (None, None)

    def test_sees_the_users_sessions(self, client, signed_in):
        answer = client.get("/api/auth/sessions")
        assert [row["current"] for row in answer.json()["results"]] == [False]

    REQUESTS: dict[str, tuple[str, str, Any, int]] = {
        "ending all other sessions": ("delete", "/api/auth/sessions", None, 403),
        "renaming a session": ("patch", "/api/auth/sessions/{}", {"device_name": "mine"}, 401),
        "ending a session": ("delete", "/api/auth/sessions/{}", None, 403),
        "authenticating again": ("post", "/api/auth/reauthenticate", {"password": "wrong"}, 401),
        "changing the password": ("post", "/api/auth/password/change", {}, 403),
        "signing out": ("post", "/api/auth/logout", {}, 204),
    }

    @pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS.values(), ids=REQUESTS)
    def test_gets_no_error_of_the_server(self, client, user, api, method, path, body, status):
        session_id = login(api, user)["session"]["id"]
        assert getattr(client, method)(path.format(session_id), body, format="json").status_code == status

    def test_is_the_user_of_a_view_of_the_project(self, user):
        request = APIRequestFactory().get("/")
        force_authenticate(request, user)
        assert TokenAuthentication().authenticate(Request(request)) is None
        with pytest.raises(AttributeError, match="generation"):  # The view reads its ``request.auth``.
            rest(request)


class TestAUserWhomAnotherHasSet:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings: Any) -> None:
        """Lets a middleware inside of ours set the user. Without it nobody but us would set one."""
        add_middleware(settings, "tests.tokens.api.test_other_users.sets_user", inside=True)

    def test_counts_by_a_middleware(self, api, user):
        answer = api.get("/api/auth/me", headers={"X-Certificate": user.email})
        assert answer.json()["user"]["id"] == str(user.pk)

    def test_counts_beside_the_cookies_of_another(self, api, user):
        login(api, UserFactory())
        answer = api.get("/api/auth/me", headers={"X-Certificate": user.email})
        assert (answer.json()["user"]["id"], answer.json()["session"]) == (str(user.pk), None)

    def test_counts_by_a_factory(self, user):
        request = APIRequestFactory().get("/")
        request.user = user
        assert TokenAuthentication().authenticate(Request(request)) == (user, None)

    def test_does_not_count_if_inactive(self, user):
        request = APIRequestFactory().get("/")
        user.is_active, request.user = False, user
        assert TokenAuthentication().authenticate(Request(request)) is None

    def test_does_not_count_for_an_unsafe_request_of_another_site(self, api, user):
        headers = {"X-Certificate": user.email, "Sec-Fetch-Site": "cross-site"}
        assert api.delete("/api/auth/sessions", headers=headers).status_code == 403
        assert api.post("/probe/rest", headers=headers).status_code == 401
