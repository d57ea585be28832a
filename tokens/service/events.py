"""Security events: a row for the owner and the operator, a line in the log ``tokens``, a count, a signal to other apps.

A line is logfmt, which log stores take apart by themselves::

    event=revoked session=0197… user=7 reason="ended_by_staff: stolen laptop" ip=192.0.2.7 agent="Mozilla/5.0 (X11; …"

Whatever is not plain is a JSON string in ASCII, so that no value can end its line, begin a field or order a terminal
about. What strangers can cause at will, a refused token say, is a line and no row. No token, digest or secret is ever
among the values.
"""

import json
import logging
import re
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from tokens import metrics
from tokens.database.statements import insert
from tokens.database.transactions import writer
from tokens.models import SecurityEvent
from tokens.service.client import Client

_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")

logger = logging.getLogger("tokens")
happened = Signal()
"""Sent with each ``event`` once it is committed. What a receiver raises is a line in Django's log, and nothing else."""

metrics.start_at_zero(metrics.EVENTS, *((kind,) for kind in SecurityEvent.Kind.values))


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
    """Save the events, in the transaction that is open. Its commit logs, counts and tells them."""
    events, alias = list(events), writer(SecurityEvent)
    insert(alias, *events)
    transaction.on_commit(partial(_tell, events), using=alias)


def log(event: str, **values: Any) -> None:
    """Write one line, without the values that are empty."""
    given = {"event": event, **values}
    logger.info(
        "%s", " ".join(f"{key}={_quoted(str(value))}" for key, value in given.items() if value not in {None, ""})
    )


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _tell(events: list[SecurityEvent]) -> None:
    for event in events:
        log(
            event.kind,
            session=event.session_id,
            user=event.user_id,
            device=event.device_id,
            reason=event.reason,
            by=event.actor_id,
            ip=event.ip,
            agent=event.user_agent,
        )
        metrics.EVENTS.labels(event.kind).inc()
        happened.send_robust(SecurityEvent, event=event)
