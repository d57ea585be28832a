"""django-allauth's ``headless`` with JWTs: its refresh tokens become sessions, at its own URLs.

`tests.tokens.contrib.test_suites` runs this file, with settings of its own.
"""

from typing import Any

import pytest
from allauth.headless.tokens.strategies.jwt import internal
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client

from tests.browsers import post
from tests.factories import PASSWORD
from tests.parallel import at_once
from tests.tokens.api.steps import bearer, change_password_elsewhere
from tests.tokens.contrib.coming_over.steps import POLICY, live
from tokens.models import RefreshToken
from tokens.protocol.refresh_tokens import PREFIX
from tokens.service.revocation import revoke

pytestmark = [pytest.mark.django_db, pytest.mark.at_length_on("sqlite")]
APP = "/_allauth/app/v1"
LATER = 200


@pytest.fixture
def theirs(request: pytest.FixtureRequest, user: Any) -> str:
    """A refresh token that django-allauth has issued before the release, at the time of `clock` if the test has it."""
    if "clock" in request.fixturenames:
        request.getfixturevalue("clock")
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session.save()
    token = internal.create_refresh_token(user, session)
    session.save()
    return token


def refreshed(token: str) -> Any:
    return post(Client(), f"{APP}/tokens/refresh", {"refresh_token": token})


def test_a_refresh_token_becomes_a_session_and_every_further_refresh_rotates_it(theirs, user):
    data = refreshed(theirs).json()["data"]
    assert data["refresh_token"].startswith(PREFIX)
    assert Client().get("/api/auth/me", headers=bearer(data["access_token"])).status_code == 200
    assert refreshed(data["refresh_token"]).status_code == 200
    row = RefreshToken.objects.get()
    assert (row.user, row.mode, row.methods) == (user, "body", "")


def test_its_views_know_the_user_of_our_access_token_and_its_logout_ends_the_session(theirs):
    data = refreshed(theirs).json()["data"]
    found = Client().get(f"{APP}/auth/session", headers=bearer(data["access_token"]))
    assert (found.status_code, found.json()["meta"]["is_authenticated"]) == (200, True)
    out = Client().delete(f"{APP}/auth/session", headers=bearer(data["access_token"]))
    assert out.status_code == 401  # django-allauth answers so to a sign-out.
    assert (live(), Session.objects.count()) == (0, 0)
    assert (refreshed(data["refresh_token"]).status_code, refreshed(theirs).status_code) == (400, 400)


def test_a_lost_answer_gives_the_same_session_and_a_replay_ends_it(theirs, clock):
    refreshed(theirs)
    data = refreshed(refreshed(theirs).json()["data"]["refresh_token"]).json()["data"]
    assert live() == 1
    clock.forward(LATER)
    Client().get("/api/auth/me", headers=bearer(data["access_token"]))
    refreshed(data.get("refresh_token", ""))
    assert (refreshed(theirs).status_code, live(), Session.objects.count()) == (400, 0, 0)


def test_a_token_that_is_not_replaced_is_used_on(theirs, settings):
    settings.HEADLESS_JWT_ROTATE_REFRESH_TOKEN = False
    for _ in range(3):
        assert set(refreshed(theirs).json()["data"]) == {"access_token"}
    assert live() == 1


def test_a_session_of_djangos_that_was_deleted_ends_ours(theirs):
    ours = refreshed(theirs).json()["data"]["refresh_token"]
    Session.objects.all().delete()
    assert (refreshed(ours).status_code, refreshed(theirs).status_code, live()) == (400, 400, 0)


def test_the_end_of_our_session_ends_djangos(theirs):
    refreshed(theirs)
    revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
    assert Session.objects.count() == 0


def test_a_new_password_ends_what_was_not_taken_over_yet(theirs, user, api):
    change_password_elsewhere(user)
    assert refreshed(theirs).status_code == 400


def test_a_sign_in_at_its_views_comes_over_with_what_was_proved(user):
    app = post(Client(), f"{APP}/auth/login", {"email": user.email, "password": PASSWORD})
    assert app.status_code == 200, app.content
    assert refreshed(app.json()["meta"]["refresh_token"]).status_code == 200
    assert RefreshToken.objects.get(mode="body").amr == ["pwd"]


def test_a_refresh_token_that_is_none():
    for text in ("", "garbage", f"{PREFIX}garbage", "a.b.c"):
        assert refreshed(text).status_code == 400, text


def test_the_policy_is_asked(theirs, settings):
    settings.TOKENS = {**settings.TOKENS, **POLICY}
    assert (refreshed(theirs).status_code, live()) == (400, 0)


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_open_one_session(theirs):
    answers = at_once(*[lambda: refreshed(theirs)] * 6)
    assert ([answer.status_code for answer in answers], RefreshToken.objects.count()) == ([200] * 6, 1)
    assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1
