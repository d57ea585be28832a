"""Security events: a row for the owner and the operator, a line in the log ``tokens``, and a signal to other apps.

No token, digest or secret is ever among the values.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from tokens.database import writer
from tokens.models import SecurityEvent
from tokens.service.client import Client

logger = logging.getLogger("tokens")
happened = Signal()
"""Sent with each ``event`` once it is committed. What a receiver raises is a line in Django's log, and nothing else."""


def record(
    kind: str,
    now: datetime,
    client: Client,
    *,
    user_id: Any = None,
    session_id: UUID | None = None,
    device_id: UUID | None = None,
    reason: str = "",
    actor: Any = None,
) -> SecurityEvent:
    """Return an event, unsaved: `write` saves it with the others of its transaction."""
    return SecurityEvent(
        kind=kind,
        created_at=now,
        user_id=user_id,
        session_id=session_id,
        device_id=device_id,
        reason=reason[:200],
        actor=actor,
        ip=client.ip,
        user_agent=client.printable_user_agent,
    )


def write(events: Iterable[SecurityEvent]) -> None:
    """Save the events, in the transaction that is open, and log them. Its commit tells who listens to `happened`."""
    events, alias = list(events), writer(SecurityEvent)
    SecurityEvent.objects.using(alias).bulk_create(events)
    for event in events:
        log(event.kind, session=event.session_id, user=event.user_id, reason=event.reason, ip=event.ip)
    transaction.on_commit(partial(_tell, events), using=alias)


def log(event: str, **values: Any) -> None:
    """Write one line: ``event key=value …``, without the empty ones."""
    logger.info("%s %s", event, " ".join(f"{key}={value}" for key, value in values.items() if value))


def _tell(events: list[SecurityEvent]) -> None:
    for event in events:
        happened.send_robust(SecurityEvent, event=event)
