"""Security events: each is a row, a line in the log ``tokens``, a count in the metrics, and a signal to other apps.

A line is logfmt, which log stores can parse::

    event=revoked session=0197… user=7 reason="ended_by_staff: stolen laptop" ip=192.0.2.7 agent="Mozilla/5.0 (X11; …"

A value with other characters than `_PLAIN` is written as a JSON string in ASCII, so that no value can end its line,
begin another field, or contain an escape sequence. What any client can cause at will, such as a rejected token, is only
a line, and not a row. Of what anybody can cause without a session (`SecurityEvent.ATTEMPTS`), the rate ``events_all``
limits the rows from all networks together. Further events are lines, counts and signals, but no rows. No value contains
a token, a digest or a secret.
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
from tokens.models import RefreshToken, SecurityEvent
from tokens.service import throttles
from tokens.service.client import Client
from tokens.service.throttles import Tally, Throttled

_NO_ROW = UUID(int=0)
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")

logger = logging.getLogger("tokens")
happened = Signal()
"""The signal that is sent with each ``event`` after its commit. An exception in a receiver is only logged."""

metrics.start_at_zero(metrics.EVENTS, *((kind,) for kind in SecurityEvent.Kind.values))


def first_id(instant: datetime) -> UUID:
    """Return the smallest UUIDv7 of this millisecond, or the smallest of all before 1970 (RFC 9562 section 5.7)."""
    return UUID(int=max(int(instant.timestamp() * 1000), 0) << 80)


def new(
    kind: str,
    now: datetime,
    client: Client,
    *,
    user_id: Any = None,
    session_id: UUID | None = None,
    device_id: UUID | None = None,
    reason: str = "",
    actor_id: Any = None,
    methods: Iterable[str] = (),
) -> SecurityEvent:
    """Return an event that is not saved yet. `write` saves it.

    ``actor_id`` is the user who did it, if that is not the user whom the event is about. ``methods`` says how the user
    has authenticated.
    """
    return SecurityEvent(
        kind=kind,
        created_at=now,
        user_id=user_id,
        session_id=session_id,
        device_id=device_id,
        reason=reason[:200],
        actor_id=actor_id,
        methods=" ".join(methods),
        ip=client.ip,
        user_agent=client.printable_user_agent,
    )


def of_session(
    kind: SecurityEvent.Kind, row: RefreshToken, now: datetime, client: Client, reason: str = ""
) -> SecurityEvent:
    """Return an event of this session that is not saved yet."""
    what: dict[str, Any] = {"user_id": row.user_id, "session_id": row.id, "device_id": row.device_id}
    return new(kind, now, client, reason=reason, actor_id=row.actor_id, **what)


def write(events: Iterable[SecurityEvent]) -> None:
    """Save the events in the transaction that is open.

    After its commit they are logged, counted and sent as signals.
    """
    events, alias = list(events), writer(SecurityEvent)
    insert(alias, *events)
    transaction.on_commit(partial(_tell, events), using=alias)


def write_attempt(event: SecurityEvent, *, discard: bool | None = None) -> None:
    """Save an event of `SecurityEvent.ATTEMPTS` in the open transaction, unless there were too many of its kind.

    Also an event without a row is logged, counted and sent as a signal. ``discard``: a second statement deletes the row
    (true), or does nothing (false). So the statements do not tell whether it is kept. None: there is no such statement.
    """
    alias = writer(SecurityEvent)
    try:
        throttles.take(Tally("events_all", event.kind))
    except Throttled:
        transaction.on_commit(partial(_tell, [event]), using=alias)
        return
    write([event])
    if discard is not None:
        SecurityEvent.objects.using(alias).filter(id=event.id if discard else _NO_ROW).delete()


def log(event: str, **values: Any) -> None:
    """Log one line. Empty values are left out."""
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
            methods=event.methods,
            by=event.actor_id,
            ip=event.ip,
            agent=event.user_agent,
        )
        metrics.EVENTS.labels(event.kind).inc()
        happened.send_robust(SecurityEvent, event=event)
