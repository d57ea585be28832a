"""knox: its tokens become sessions when they are used, and end with them.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

import base64
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from knox.auth import TokenAuthentication as OfKnox
from knox.models import AuthToken
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.browsers import post
from tests.factories import PASSWORD
from tests.parallel import at_once
from tests.tokens.api.steps import change_password_elsewhere
from tests.tokens.contrib.coming_over.knox_urls import urlpatterns
from tests.tokens.contrib.coming_over.steps import POLICY, live
from tokens.api.authentication import TokenAuthentication as Ours
from tokens.conf import token_settings
from tokens.contrib.coming_over.checks import check_views
from tokens.contrib.coming_over.knox import TokenAuthentication
from tokens.models import RefreshToken, SecurityEvent
from tokens.service.revocation import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]
LATER = 200


@pytest.fixture
def token(request: pytest.FixtureRequest, user: Any) -> str:
    """A token that knox has issued before the release, at the time of `clock` if the test has it."""
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    return str(AuthToken.objects.create(user)[1])


def used(token: str, path: str = "/probe/either", method: str = "get") -> int:
    return int(getattr(Client(), method)(path, headers={"Authorization": f"Token {token}"}).status_code)


def taken(token: str, client: Client | None = None, **more: Any) -> Any:
    return post(client or Client(), "/api/knox/take-over/", {"token": token, **more})


def test_a_token_is_used_on_and_is_one_session(token, user):
    assert [used(token) for _ in range(3)] == [200] * 3
    row = RefreshToken.objects.get()
    assert (row.user, row.mode, row.methods, row.generation) == (user, "body", "", 0)
    assert row.expires_at - row.created_at == pytest.approx(timedelta(hours=10), abs=timedelta(seconds=5))
    assert not SecurityEvent.objects.filter(kind="new_device").exists()


@pytest.mark.parametrize("path", ["/knox/logout/", "/knox/logoutall/"])
def test_its_logout_ends_the_session(token, path):
    used(token)
    assert used(token, path, "post") == 204
    assert (used(token), live(), RefreshToken.objects.get().revoked_reason) == (401, 0, "signed_out")


def test_the_end_of_the_session_ends_the_token(token):
    used(token)
    revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
    assert (used(token), AuthToken.objects.exists()) == (401, False)


def test_a_new_password_ends_all_tokens_also_those_that_were_not_used_since_the_release(token, user, api):
    used(str(AuthToken.objects.create(user)[1]))
    change_password_elsewhere(user)
    assert (used(token), AuthToken.objects.count(), live()) == (401, 0, 1)


def test_a_token_that_was_deleted_before_is_refused(token):
    AuthToken.objects.all().delete()
    assert (used(token), taken(token).status_code, live()) == (401, 401, 0)


def test_an_application_takes_the_session_over_and_a_replay_ends_it(token, clock):
    used(token)
    first = taken(token, mode="body").json()
    assert taken(token, mode="body").json()["refresh_token"] == first["refresh_token"]
    assert used(token) == 401  # It is a refresh token now.
    after = post(Client(), "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (after.status_code, live()) == (200, 1)
    clock.forward(LATER)
    Client().get("/probe/either", headers={"Authorization": f"Bearer {after.json()['access_token']}"})
    assert (taken(token, mode="body").status_code, live(), AuthToken.objects.count()) == (401, 0, 0)


def test_a_browser_takes_it_over_into_cookies(token, api):
    assert (taken(token, api).status_code, api.get("/api/auth/me").status_code) == (200, 200)


def test_a_session_ends_if_the_token_is_not_used_and_not_if_it_is(token, clock):
    AuthToken.objects.update(expiry=None)
    for _ in range(3):
        assert used(token) == 200
        clock.forward(token_settings().idle_lifetime.total_seconds() * 0.8)
    clock.forward(token_settings().idle_lifetime.total_seconds())
    assert (used(token), RefreshToken.objects.count()) == (401, 1)


def test_a_sign_in_with_knox_becomes_a_session_at_its_first_use(user):
    basic = base64.b64encode(f"{user.email}:{PASSWORD}".encode()).decode()
    answer = Client().post("/knox/login/", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 200, answer.content
    assert used(answer.json()["token"]) == 200


def test_the_policy_is_asked(token, settings):
    settings.TOKENS = {**settings.TOKENS, **POLICY}
    assert (used(token), taken(token).status_code, live()) == (401, 401, 0)


class Orders(APIView):
    authentication_classes = (OfKnox,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Response:
        return Response()


@pytest.mark.parametrize(
    ("classes", "is_named"),
    [((OfKnox,), True), ((TokenAuthentication,), True), ((OfKnox, Ours), False), ((Ours, TokenAuthentication), False)],
    ids=["knox's class", "the adapter's class", "knox's class before ours", "ours before the adapter's"],
)
def test_a_view_that_refuses_our_tokens_is_named(classes, is_named, settings, token):
    project = ModuleType("urls_of_a_project")
    view = Orders.as_view(authentication_classes=classes)
    project.urlpatterns = [path("orders", view), *urlpatterns]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = project
    access = taken(token, mode="body").json()["access_token"]
    answer = Client().get("/orders", headers={"Authorization": f"Bearer {access}"})
    assert answer.status_code == (401 if is_named else 200)
    assert [(found.id, "Orders" in found.msg) for found in check_views()] == [("tokens.W063", True)] * is_named


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_open_one_session(token):
    assert at_once(*[lambda: used(token)] * 6) == [200] * 6
    assert RefreshToken.objects.count() == 1
