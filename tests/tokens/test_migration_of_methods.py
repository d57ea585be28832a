"""The migration that adds the methods of a session: sessions from before go on without them."""

from typing import Any

import pytest
from django.db import connection

from tests.browsers import ACCESS, login, post, refresh
from tests.factories import PASSWORD
from tests.tokens.test_migrations import all_applied, migrate
from tokens.conf import codec
from tokens.models import RefreshToken

__all__ = ["all_applied"]

BEFORE = "0018_backend"

pytestmark = pytest.mark.django_db(transaction=True)


def claims(browser: Any) -> Any:
    return codec().loads_expired(browser.cookies[ACCESS].value).claims


@pytest.fixture
def before(api: Any, user: Any, all_applied: str, clock: Any) -> Any:
    """The models of the release before, with the session of a browser that signed in by password."""
    login(api, user)
    models = migrate(BEFORE)
    models.get_model("tokens", "RefreshToken").objects.update(authentication_methods=["pwd"])
    return models


def test_a_session_from_before_goes_on_without_methods(before, api, clock, all_applied):
    migrate(all_applied)
    clock.forward(700)
    assert refresh(api).status_code == 200
    assert not {"amr", "acr"} & claims(api).keys()
    assert claims(api)["auth_time"] == int(RefreshToken.objects.get().created_at.timestamp())
    assert api.get("/").status_code == 200
    assert post(api, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
    assert (claims(api)["amr"], claims(api)["acr"]) == (["pwd"], "aal1")


def test_a_process_of_the_release_before_opens_sessions_after_the_migration(before, api, all_applied):
    old: Any = before.get_model("tokens", "RefreshToken")
    [row] = old.objects.values()
    migrate(all_applied)
    row["id"] = row["id"].__class__(int=row["id"].int + 1)
    old.objects.create(**row)
    assert old.objects.get(pk=row["id"]).authentication_methods == ["pwd"]
    assert [(session.methods, session.amr) for session in RefreshToken.objects.all()] == [("", [])] * 2


def test_a_process_of_the_release_before_reads_sessions_of_this_one(before, api, user, all_applied):
    old: Any = before.get_model("tokens", "RefreshToken")
    migrate(all_applied)
    login(api, user)
    assert old.objects.order_by("id").last().authentication_methods == []


def test_the_migration_can_be_reversed_and_applied_again(before, api, user, all_applied):
    migrate(all_applied)
    login(api, user)
    migrate(BEFORE)
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, "tokens_refreshtoken")
    assert {"methods", "authentication_methods"} & {column.name for column in described} == {"authentication_methods"}
    migrate(all_applied)
    assert refresh(api).status_code == 200
