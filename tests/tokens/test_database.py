"""Commits that wait for the disk, on SQLite as a project may have set it up."""

import threading
import time

import pytest
from django.db import connection

from accounts.models import User
from tests.factories import UserFactory
from tokens.database import durable

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("sqlite")]

NORMAL, FULL, EXTRA = 1, 2, 3


def synchronous() -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute("PRAGMA synchronous").fetchone()[0])


@pytest.mark.parametrize(
    ("usual", "within"),
    [(NORMAL, FULL), (FULL, FULL), (EXTRA, EXTRA)],
    ids=["ours", "as SQLite comes", "more than needed"],
)
def test_a_commit_waits_and_the_projects_own_setting_is_there_again(usual, within):
    before = synchronous()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous = {usual}")
        with durable("default"):
            assert synchronous() == within
        assert synchronous() == usual
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA synchronous = {before}")


def test_whoever_reads_first_waits_for_its_turn_to_write():
    """Of two deferred transactions, which Django begins unless told otherwise, the second would fail at once."""
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
