"""Migrations of large tables, while users sign in: they lock few rows at a time, and can be interrupted."""

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests.factories import UserFactory
from tests.tokens.service.holders import Holder
from tests.tokens.service.statements import query
from tests.tokens.service.threads import paused
from tests.tokens.test_migrations import all_applied, migrate
from tokens.models import Device
from tokens.service.devices import OWN_BUDGETS, with_own_budget

__all__ = ["all_applied"]

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, INDEXES = "0015_impersonation", ["tokens_device_latest", "tokens_session_actor", "tokens_session_acts"]
NO_PLACE = UUID(int=0)


@pytest.fixture
def migration(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The migration that orders devices, with batches of two. A larger batch would be the only one of the test."""
    found = import_module("tokens.migrations.0016_devices_in_order")
    monkeypatch.setattr(found, "BATCH", 2)
    return found


@pytest.fixture
def before(user: Any, all_applied: str, monkeypatch: pytest.MonkeyPatch) -> list[Holder]:
    """Devices of a user from before the migration, in the order of their keys.

    The columns of later migrations stay, because today's code does not sign in without it.
    """
    for later in ("0018_backend", "0019_methods", "0021_passkeys", "0022_trusted_digest"):
        monkeypatch.setattr(import_module(f"tokens.migrations.{later}").Migration, "operations", [])
    holders = [Holder(user) for _ in range(OWN_BUDGETS + 1)]
    migrate(BEFORE)
    Device.objects.update(last_sign_in=NO_PLACE)
    return sorted(holders, key=lambda holder: holder.grant.session.device_id)


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
def test_a_sign_in_waits_for_no_more_than_a_batch(before, migration, all_applied):
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
            opened = [holder.sign_in_again() for holder in before]
            new = Holder(UserFactory())
        finally:
            query("RESET lock_timeout")
    assert new.grant.device_token
    # The places of the sign-ins, not of the sessions of before.
    devices = [one.grant.session.device for one in opened]
    assert [Device.objects.get(pk=device.pk).last_sign_in for device in devices] == [
        device.last_sign_in for device in devices
    ]
    assert indexes() == INDEXES


def test_it_goes_on_after_an_interruption(before, migration, all_applied):
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


def test_indexes_of_an_earlier_version_stay(before, all_applied):
    query('CREATE INDEX "tokens_device_latest" ON tokens_device (user_id, last_sign_in DESC) WHERE NOT forgotten')
    query('CREATE INDEX "tokens_session_actor" ON tokens_refreshtoken (actor_id) WHERE actor_id IS NOT NULL')
    migrate(all_applied)
    assert indexes() == INDEXES


@pytest.mark.only_on("postgresql")
def test_an_index_that_was_not_finished_is_made_again(before, all_applied):
    query("CREATE INDEX tokens_device_latest ON tokens_device (user_id, last_sign_in DESC) WHERE NOT forgotten")
    query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tokens_device_latest'::regclass")
    migrate(all_applied)
    assert query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tokens_device_latest'::regclass") == (True,)


def test_before_it_every_device_has_a_budget_and_later_sign_ins_come_first(before):
    user, browsers = before[0].user, [holder.browser for holder in before]
    assert all(with_own_budget(user, browser, None) for browser in browsers)
    for holder in before[1:]:
        holder.sign_in_again()
    assert [with_own_budget(user, browser, None) is not None for browser in browsers] == [False, *[True] * OWN_BUDGETS]
