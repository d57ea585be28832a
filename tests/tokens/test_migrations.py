"""Migrations that change rows: they can be reversed and applied again, also of large tables while users sign in."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from tests.browsers import login, post, refresh
from tests.factories import PASSWORD, AdminFactory, UserFactory
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import query
from tests.tokens.service.threads import paused
from tests.tokens.web_steps import claims_of
from tokens.models import Device, RefreshToken
from tokens.service import impersonation
from tokens.service.devices import OWN_BUDGETS, with_own_budget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

WITHOUT_METHODS = "0018_backend"


def migrate(name: str) -> Any:
    """Migrate this app to the migration of this name, and return its models in that state."""
    executor = MigrationExecutor(connection)
    target = [("tokens", name)]
    executor.migrate(target)
    return executor.loader.project_state(target).apps


@pytest.fixture
def all_applied() -> Iterator[str]:
    """The name of the last migration. It is applied after the test, or every later test would find an old schema."""
    [(_, last)] = MigrationExecutor(connection).loader.graph.leaf_nodes("tokens")
    yield last
    migrate(last)


def test_the_column_with_the_date_for_the_purge_is_filled_when_its_removal_is_reversed(user, clock, all_applied):
    live, revoked = Holder(user), Holder(user)
    clock.forward(timedelta(days=1).total_seconds())
    revoked.end()
    ends_at = live.row.ends_at
    sessions = migrate("0008_device_bound").get_model("tokens", "RefreshToken").objects
    assert sessions.get(pk=live.id).ends_on == ends_at.date()
    assert sessions.get(pk=revoked.id).ends_on == clock.now.date()
    migrate(all_applied)
    assert live.row.generation == 0


def test_users_can_be_changed_when_the_table_that_the_triggers_write_to_is_gone(user, all_applied):
    migrate("0010_seldom_analyzed")
    assert User.objects.update(password="another") == 1


def test_an_impersonation_is_deleted_when_its_migration_is_reversed(user, all_applied):
    """Without the actor the session would look like the user's own."""
    own = Holder(AdminFactory())
    impersonation.begin(own.user.pk, own.id, user.pk, own.browser)
    sessions = migrate("0014_forgotten_devices").get_model("tokens", "RefreshToken").objects
    assert [row.pk for row in sessions.all()] == [own.id]
    migrate(all_applied)
    assert own.row.actor is None


# Devices in order: the migration locks few rows at a time, and can be interrupted.

INDEXES = ["tokens_device_latest", "tokens_session_actor", "tokens_session_acts"]
NO_PLACE = UUID(int=0)


@pytest.fixture
def migration(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The migration that orders devices, with batches of two. A larger batch would be the only one of the test."""
    found = import_module("tokens.migrations.0016_devices_in_order")
    monkeypatch.setattr(found, "BATCH", 2)
    return found


@pytest.fixture
def devices(user: Any, all_applied: str, monkeypatch: pytest.MonkeyPatch) -> list[Holder]:
    """Devices of a user from before the migration, in the order of their keys.

    The columns of later migrations stay, because today's code does not sign in without it.
    """
    for later in ("0018_backend", "0019_methods", "0021_passkeys", "0022_trusted_digest"):
        monkeypatch.setattr(import_module(f"tokens.migrations.{later}").Migration, "operations", [])
    holders = [Holder(user) for _ in range(OWN_BUDGETS + 1)]
    migrate("0015_impersonation")
    Device.objects.update(last_sign_in=NO_PLACE)
    return sorted(holders, key=lambda holder: holder.issued.session.device_id)


def indexes() -> list[str]:
    """Return which of the migration's indexes exist."""
    with connection.cursor() as cursor:
        tables = [
            connection.introspection.get_constraints(cursor, f"tokens_{name}") for name in ("device", "refreshtoken")
        ]
    return [name for name in INDEXES if any(name in table for table in tables)]


class Interrupted(Exception):
    pass


@pytest.mark.only_on("postgresql")
def test_a_sign_in_waits_for_no_more_than_a_batch(devices, migration, all_applied):
    def migrate_slowly(pause: Callable[[], None]) -> None:
        batches = 0

        def wrapper(execute: Any, sql: str, *arguments: Any) -> Any:
            nonlocal batches
            found = execute(sql, *arguments)
            batches += sql.startswith('UPDATE "tokens_device"')
            if batches == 2:
                pause()
            return found

        with connection.execute_wrapper(wrapper):
            migrate(all_applied)

    with paused(migrate_slowly):
        query("SET lock_timeout = '1s'")
        try:
            opened = [holder.sign_in_again() for holder in devices]
            new = Holder(UserFactory())
        finally:
            query("RESET lock_timeout")
    assert new.issued.device_token
    # The places of the sign-ins, not of the sessions of before.
    used = [one.issued.session.device for one in opened]
    assert [Device.objects.get(pk=one.pk).last_sign_in for one in used] == [one.last_sign_in for one in used]
    assert indexes() == INDEXES


def test_it_goes_on_after_an_interruption(devices, migration, all_applied):
    def wrapper(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("CREATE INDEX"):
            raise Interrupted
        return execute(sql, *arguments)

    with connection.execute_wrapper(wrapper), suppress(Interrupted):
        migrate(all_applied)
    assert not Device.objects.filter(last_sign_in=NO_PLACE).exists()
    assert indexes() == []
    migrate(all_applied)
    assert indexes() == INDEXES


def test_indexes_of_an_earlier_version_stay(devices, all_applied):
    query('CREATE INDEX "tokens_device_latest" ON tokens_device (user_id, last_sign_in DESC) WHERE NOT forgotten')
    query('CREATE INDEX "tokens_session_actor" ON tokens_refreshtoken (actor_id) WHERE actor_id IS NOT NULL')
    migrate(all_applied)
    assert indexes() == INDEXES


@pytest.mark.only_on("postgresql")
def test_an_index_that_was_not_finished_is_made_again(devices, all_applied):
    query("CREATE INDEX tokens_device_latest ON tokens_device (user_id, last_sign_in DESC) WHERE NOT forgotten")
    query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tokens_device_latest'::regclass")
    migrate(all_applied)
    assert query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tokens_device_latest'::regclass") == (True,)


def test_before_it_every_device_has_a_budget_and_later_sign_ins_come_first(devices):
    user, browsers = devices[0].user, [holder.browser for holder in devices]
    assert all(with_own_budget(user, browser, None) for browser in browsers)
    for holder in devices[1:]:
        holder.sign_in_again()
    assert [with_own_budget(user, browser, None) is not None for browser in browsers] == [False, *[True] * OWN_BUDGETS]


# The methods of a session: sessions from before go on without them.


@pytest.fixture
def before(api: Any, user: Any, all_applied: str, clock: Any) -> Any:
    """The models of the release before, with the session of a browser that signed in by password."""
    login(api, user)
    models = migrate(WITHOUT_METHODS)
    models.get_model("tokens", "RefreshToken").objects.update(authentication_methods=["pwd"])
    return models


def test_a_session_from_before_goes_on_without_methods(before, api, clock, all_applied):
    migrate(all_applied)
    clock.forward(700)
    assert refresh(api).status_code == 200
    assert not {"amr", "acr"} & claims_of(api).keys()
    assert claims_of(api)["auth_time"] == int(RefreshToken.objects.get().created_at.timestamp())
    assert api.get("/").status_code == 200
    assert post(api, "/api/auth/reauthenticate", {"password": PASSWORD}).status_code == 200
    assert (claims_of(api)["amr"], claims_of(api)["acr"]) == (["pwd"], "aal1")


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
    migrate(WITHOUT_METHODS)
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, "tokens_refreshtoken")
    assert {"methods", "authentication_methods"} & {column.name for column in described} == {"authentication_methods"}
    migrate(all_applied)
    assert refresh(api).status_code == 200
