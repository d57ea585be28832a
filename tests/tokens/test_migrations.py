"""Migrations that change rows can be reversed and applied again in a database that has rows."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from tests.factories import AdminFactory
from tests.tokens.service.holders import Holder
from tokens.service import impersonation

pytestmark = pytest.mark.django_db(transaction=True)


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
