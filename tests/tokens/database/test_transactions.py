"""Durable commits on SQLite, whatever the project's own settings of SQLite are."""

import threading
import time

import pytest
from django.db import connection

from accounts.models import User
from tests.factories import UserFactory
from tokens.database.transactions import durable

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

NORMAL, FULL, EXTRA = 1, 2, 3
SETTINGS = {"our own": (NORMAL, FULL), "SQLite's default": (FULL, FULL), "more than needed": (EXTRA, EXTRA)}


def synchronous() -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute("PRAGMA synchronous").fetchone()[0])


def set_synchronous(value: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous = {value}")


@pytest.mark.parametrize(("usual", "within"), SETTINGS.values(), ids=SETTINGS)
def test_a_durable_commit_waits_for_the_disk_and_the_setting_is_restored(usual, within):
    before = synchronous()
    try:
        set_synchronous(usual)
        with durable("default"):
            assert synchronous() == within
        assert synchronous() == usual
    finally:
        set_synchronous(before)


def test_a_transaction_that_reads_first_waits_before_it_writes():
    """With deferred transactions, which are Django's default, the second of two would fail immediately."""
    user = UserFactory()
    both_there, results = threading.Barrier(2), []

    def write() -> None:
        connection.ensure_connection()
        connection.transaction_mode = None  # type: ignore[attr-defined]
        both_there.wait(10)
        try:
            with durable("default"):
                found = User.objects.get(pk=user.pk)
                time.sleep(0.1)
                found.save(update_fields=["is_staff"])
            results.append(connection.transaction_mode)  # type: ignore[attr-defined]
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [None, None]
