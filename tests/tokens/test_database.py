"""Commits that wait for the disk, on SQLite as a project may have set it up."""

import threading
from typing import Any

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
def test_a_commit_waits_and_the_projects_own_setting_is_there_again(usual: int, within: int) -> None:
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


def test_whoever_reads_first_still_waits_for_its_turn_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Django's own deferred transactions the second of two such is told at once that the database is locked."""
    monkeypatch.setattr(connection, "transaction_mode", None)
    user = UserFactory()
    begun, results = threading.Barrier(2), []

    def write(first_name: Any) -> None:
        begun.wait(10)
        try:
            with durable("default"):
                found = User.objects.get(pk=user.pk)
                found.save(update_fields=["is_active"])
            results.append("written")
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == ["written", "written"]
    assert connection.transaction_mode is None  # type: ignore[attr-defined]
