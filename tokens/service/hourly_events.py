"""Security events about a session that a client can cause again and again: each is written at most once an hour."""

from datetime import datetime, timedelta

from django.db.models import Q

from tokens.database.transactions import durable, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import events
from tokens.service.client import Client

NOTED_EVERY = timedelta(hours=1)
"""At least this long lies between two events of the same kind about a session."""


def note_unproven(row: RefreshToken, now: datetime, client: Client, cause: str) -> None:
    """Record an attempt to refresh a bound session without the key of its device."""
    _note("unproven_at", SecurityEvent.Kind.UNPROVEN, row, now, client, cause)


def note_if_elsewhere(row: RefreshToken, now: datetime, client: Client) -> None:
    """Record that a generation was sent to another network or User-Agent than before."""
    if client.is_elsewhere(row.ip, bytes(row.user_agent_digest)):
        _note("elsewhere_at", SecurityEvent.Kind.ELSEWHERE, row, now, client)


def _note(
    field: str, kind: SecurityEvent.Kind, row: RefreshToken, now: datetime, client: Client, reason: str = ""
) -> None:
    """Record an event, if the last one is long ago. ``field`` is the column with its time."""
    long_ago = Q(**{field: None}) | Q(**{f"{field}__lte": now - NOTED_EVERY})
    alias = writer(RefreshToken)
    with durable(alias):
        if RefreshToken.objects.using(alias).filter(long_ago, id=row.id).update(**{field: now}):
            events.write([events.of_session(kind, row, now, client, reason)])
