"""Security events: a row for the owner and the operator, and a line in the log ``tokens``, as keys and values.

No token, digest or secret is ever among the values.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from tokens.database import writer
from tokens.models import SecurityEvent
from tokens.service.client import Client

logger = logging.getLogger("tokens")


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
    """Save the events, in the transaction that is open, and log them."""
    events = list(events)
    SecurityEvent.objects.using(writer(SecurityEvent)).bulk_create(events)
    for event in events:
        log(event.kind, session=event.session_id, user=event.user_id, reason=event.reason, ip=event.ip)


def log(event: str, **values: Any) -> None:
    """Write one line: ``event key=value …``, without the empty ones."""
    logger.info("%s %s", event, " ".join(f"{key}={value}" for key, value in values.items() if value))
