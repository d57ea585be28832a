"""What anybody can cause without a session is kept for a shorter time than other security events."""

from datetime import datetime, timedelta
from io import StringIO
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import connection

from tests.tokens.service.statements import query, statements
from tokens.models import SecurityEvent

pytestmark = pytest.mark.django_db
RETENTION = timedelta(days=30)
ATTEMPTS = ["sign_in_failed", "registration", "password_reset"]


def events(kind: str, at: datetime, count: int = 1) -> None:
    """Write events with ids of that time (UUIDv7), as a server makes them."""
    SecurityEvent.objects.bulk_create(
        SecurityEvent(id=UUID(int=(int(at.timestamp() * 1000) << 80) + uuid4().int % 2**80), kind=kind, created_at=at)
        for _ in range(count)
    )


def purge(*arguments: str) -> str:
    out = StringIO()
    call_command("purge_tokens", *arguments, stdout=out)
    return out.getvalue()


def left() -> dict[str, int]:
    kinds = SecurityEvent.objects.exclude(kind="purged").values_list("kind", flat=True)
    return {kind: list(kinds).count(kind) for kind in kinds}


def test_only_attempts_are_deleted_after_thirty_days(clock):
    kinds = set(SecurityEvent.Kind.values) - {"purged"}
    for kind in kinds:
        events(kind, clock.now - RETENTION - timedelta(seconds=1))
        events(kind, clock.now - RETENTION + timedelta(seconds=1))
    purge()
    assert left() == {kind: 1 if kind in ATTEMPTS else 2 for kind in kinds}


def test_they_count_as_events(clock):
    for kind in ATTEMPTS:
        events(kind, clock.now - 2 * RETENTION, 2)
    events("signed_in", clock.now - timedelta(days=401))
    assert "events: 7 would be deleted" in purge("--dry-run")
    assert "events: 7 deleted" in purge("--batch-size=1")
    assert left() == {}


def test_the_setting_says_how_long(settings, clock):
    settings.TOKENS = {"ATTEMPT_RETENTION": 86400}
    events("password_reset", clock.now - timedelta(days=2))
    events("password_reset", clock.now - timedelta(hours=2))
    purge()
    assert left() == {"password_reset": 1}


def test_clocks_of_servers_may_differ(clock):
    """The id has the time of a server that is half a day ahead, and ``created_at`` that of the database."""
    events("registration", clock.now - RETENTION + timedelta(hours=12))
    SecurityEvent.objects.filter(kind="registration").update(created_at=clock.now - RETENTION - timedelta(seconds=1))
    purge()
    assert left() == {}


def test_the_index_of_kinds_finds_them(clock):
    """Without the index, each purge would read all events of more than a year."""
    events("signed_in", clock.now - 2 * RETENTION, 3000)
    events("password_reset", clock.now - 2 * RETENTION, 100)
    query("ANALYZE")
    table = SecurityEvent._meta.db_table
    sent = statements(lambda: purge("--batch-size=10"))
    found = [sql for sql in sent if sql.startswith("DELETE") and table in sql and "'password_reset'" in sql]
    assert len(found) == 11
    for sql in found:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        assert "tokens_event_kind" in plan, plan
        assert f"Seq Scan on {table}" not in plan
