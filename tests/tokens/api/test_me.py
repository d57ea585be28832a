"""Who is signed in: the user and the session, by cookie and by bearer token."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from tests.browsers import ACCESS, REFRESH, login, post
from tests.factories import UserFactory
from tokens.models import RefreshToken
from tokens.service.ending import end
from tokens.service.feed import feed

pytestmark = pytest.mark.django_db

ME = "/api/auth/me"
Queries = Callable[[int], AbstractContextManager[Any]]


def test_me_is_the_user_and_the_session(api, user):
    signed_in = login(api, user)
    response = api.get(ME)
    assert response.status_code == 200
    assert response.json() == {
        "user": {"id": str(user.pk), "email": user.email},
        "session": signed_in["session"],
        "access_token_expires_at": signed_in["access_token_expires_at"],
    }


def test_me_is_the_session_that_asks(api, user, another):
    login(another(), user)
    signed_in = login(api, user, device_name="Mine")
    assert api.get(ME).json()["session"] == signed_in["session"]


def test_me_by_bearer_token_is_whose_token_it_is(api, user, settings):
    settings.TOKENS = {"MODES": ["cookie", "body"]}
    answer = login(Client(), user, mode="body")
    login(api, UserFactory())
    response = api.get(ME, headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert response.json()["user"]["id"] == str(user.pk)
    assert response.json()["session"]["id"] == answer["session"]["id"]
    assert not response.cookies


def test_me_holds_no_secret_and_is_not_for_other_eyes(api, user):
    login(api, user)
    response = api.get(ME)
    for cookie in api.cookies.values():
        assert cookie.value.encode() not in response.content
    assert user.password.encode() not in response.content
    assert "Cookie" in response["Vary"]


def test_me_is_refreshed_unseen(api, user, clock):
    login(api, user)
    clock.forward(601)
    response = api.get(ME)
    assert response.status_code == 200
    assert set(response.cookies) == {ACCESS, REFRESH}
    expires_at = datetime.fromisoformat(response.json()["access_token_expires_at"])
    assert timedelta(seconds=569) <= expires_at - clock.now <= timedelta(seconds=600)


def test_me_costs_one_query_for_the_user_and_one_for_the_session(api, user, clock, django_assert_num_queries):
    login(api, user)
    feed.is_revoked(uuid4())
    with django_assert_num_queries(2):
        api.get(ME)


def test_a_stranger_is_nobody(api, db):
    response = api.get(ME)
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert not response.cookies


@pytest.mark.parametrize("how", ["revoked here", "revoked elsewhere", "row deleted", "user deleted", "switched off"])
def test_who_had_a_session_is_told_that_it_ended(api, user, clock, how, monkeypatch):
    login(api, user)
    sessions = RefreshToken.objects.filter(user=user)
    if how == "revoked elsewhere":
        monkeypatch.setattr(feed, "add", lambda ids: None)  # This process has not heard of it.
    if how.startswith("revoked"):
        end(sessions, RefreshToken.Reason.ENDED_BY_STAFF)
    elif how == "row deleted":
        sessions.delete()
    elif how == "user deleted":
        user.delete()
    else:
        user.is_active = False
        user.save()
    assert api.get(ME).json()["code"] == "session_ended"


def test_me_may_be_asked_for_its_head(api, user):
    login(api, user)
    response = api.head(ME)
    assert response.status_code == 200
    assert response.content == b""
    assert int(response["Content-Length"]) == len(api.get(ME).content)


def test_a_slash_behind_is_neither_needed_nor_refused(api, user):
    login(api, user)
    assert api.get(f"{ME}/").content == api.get(ME).content


def test_a_user_renamed_since_is_shown_as_is(api, user):
    login(api, user)
    user.email = "new@example.org"
    user.save()
    assert api.get(ME).json()["user"]["email"] == "new@example.org"


def test_reading_who_one_is_changes_nothing(api, user):
    login(api, user)
    before = RefreshToken.objects.values().get()
    for _ in range(3):
        api.get(ME)
    assert RefreshToken.objects.values().get() == before
    assert post(api, ME).status_code == 405


@pytest.mark.parametrize("path", [ME, "/api/auth/sessions"])
def test_a_user_switched_off_by_raw_sql_is_told_that_the_session_has_ended(api, user, path):
    login(api, user)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET is_active = %s", [False])
    response = api.get(path)
    assert response.status_code == 401
    assert response.json()["code"] == "session_ended"
