"""Durable commits on SQLite, whatever the project's own settings of SQLite are."""

import threading
import time
from contextlib import suppress

import pytest
from django.db import connection

from accounts.models import User
from tests.factories import UserFactory
from tests.tokens.service.statements import query
from tests.tokens.service.threads import in_thread
from tokens.database.transactions import durable

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

NORMAL, FULL, EXTRA = 1, 2, 3
SETTINGS = {"our own": (NORMAL, FULL), "SQLite's default": (FULL, FULL), "more than needed": (EXTRA, EXTRA)}


def synchronous() -> int:
    return int(query("PRAGMA synchronous")[0])


@pytest.mark.parametrize(("usual", "within"), SETTINGS.values(), ids=SETTINGS)
def test_a_durable_commit_waits_for_the_disk_and_the_setting_is_restored_even_after_a_failure(usual, within):
    before = synchronous()
    try:
        query(f"PRAGMA synchronous = {usual}")
        with durable("default"):
            assert synchronous() == within
            with durable("default"):
                assert synchronous() == within
            assert synchronous() == within
        assert synchronous() == usual
        with suppress(ZeroDivisionError), durable("default"):
            raise ZeroDivisionError
        assert synchronous() == usual
    finally:
        query(f"PRAGMA synchronous = {before}")


def test_a_transaction_that_reads_first_waits_before_it_writes():
    """With deferred transactions, which are Django's default, the second of two would fail immediately."""
    user = UserFactory()
    both_there, results = threading.Barrier(2), []

    def write() -> None:
        connection.ensure_connection()
        connection.transaction_mode = None  # type: ignore[attr-defined]
        both_there.wait(10)
        with durable("default"):
            found = User.objects.get(pk=user.pk)
            time.sleep(0.1)
            found.save(update_fields=["is_staff"])
        results.append(connection.transaction_mode)  # type: ignore[attr-defined]

    with in_thread(write), in_thread(write):
        pass
    assert results == [None, None]
