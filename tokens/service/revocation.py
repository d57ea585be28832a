"""Ends sessions. Every way to end a session before its time leads here, and every process learns of it.

The row, its `Revocation` and its `SecurityEvent` are written in one transaction, whose commit waits for the disk. It is
committed when these functions return, unless the caller has a transaction open.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from tokens import metrics
from tokens.database.expressions import DatabaseNow
from tokens.database.transactions import clock, durable, writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, Revocation, SecurityEvent
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import devices, events
from tokens.service.client import Client
from tokens.service.revocation_feed import current_feed

BATCH = 1000
"""Sessions that one transaction ends."""

SIGNS_OUT_FOR = timedelta(days=1)
"""For so long after it has expired, an access token ends its session.

With a longer time, every log that contains access tokens would let its readers sign users out.
"""

_KINDS = {
    RefreshToken.Reason.REUSE: SecurityEvent.Kind.REUSE_DETECTED,
    RefreshToken.Reason.RECOVERIES_EXHAUSTED: SecurityEvent.Kind.RECOVERIES_EXHAUSTED,
}

_BY_ITS_HOLDER = {
    RefreshToken.Reason.SIGNED_OUT,
    RefreshToken.Reason.RELEASED,
    RefreshToken.Reason.ACTOR_ENDED,
    *_KINDS,
}
"""Reasons caused by the person who uses the session. The event of an impersonation then names its actor."""

_BY_OPERATORS = {RefreshToken.Reason.ENDED_BY_STAFF, RefreshToken.Reason.ENDED_BY_COMMAND}
revoked_by_operators = Signal()
"""The signal that is sent when staff or a command revokes sessions, with the primary keys of their users, ``user_ids``.

It is sent in the transaction that ends them. An exception in a receiver undoes it.
"""

ended = Signal()
"""The signal that sessions end, with their ``session_ids``. What was granted on them ends too.

For the users with the primary keys ``user_ids``, everything ends that was granted to them: their password was changed,
or they have raised the alarm, or their account is closed. It is sent in the transaction that ends the sessions. An
exception in a receiver undoes it.
"""
_WITH_EVERYTHING = {
    RefreshToken.Reason.PASSWORD_CHANGED,
    RefreshToken.Reason.USER_DISABLED,
    RefreshToken.Reason.USER_DELETED,
}
"""Reasons for which everything ends that was granted to the user."""

metrics.start_at_zero(metrics.REVOCATIONS, *((reason,) for reason in RefreshToken.Reason.values))


def revoke(
    sessions: RefreshTokenQuerySet,
    reason: RefreshToken.Reason,
    *,
    by: Any = None,
    client: Client | None = None,
    note: str = "",
) -> list[UUID]:
    """End some of these sessions that are not revoked yet, and return the ids of those that were ended.

    At most `BATCH` are ended, not counting impersonations. None are left if fewer were ended.

    ``by`` is the user who asked for it, if that is not the user of the session. ``note`` is added to the reason in the
    event. The impersonations that were begun in one of these sessions end with it. Their ids are not returned.
    """
    return [row.id for row in _revoke(sessions, reason, by, client, note)]


def may_sign_out(token: AccessToken, *, is_held: bool = False) -> bool:
    """Return whether an access token may end its session, if it is not too old. Services must not sign users out.

    ``is_held`` as in `sign_out`.
    """
    return is_held or not token.for_services


def is_too_old(token: AccessToken) -> bool:
    """Return whether an access token expired more than `SIGNS_OUT_FOR` ago."""
    return datetime.now(UTC) >= instant(token.expires_at) + SIGNS_OUT_FOR


def sign_out(session_id: UUID, client: Client, *, is_held: bool) -> None:
    """End the session of a person who signs out.

    ``is_held``: whether the client has shown a refresh token of the session. A sign-out in an impersonation also signs
    the actor out, if the client has shown one or is on the actor's device.
    """
    for row in _revoke(RefreshToken.objects.filter(id=session_id), RefreshToken.Reason.SIGNED_OUT, client=client):
        if row.actor_session_id is not None and (is_held or devices.is_held(row.device, client, row.now)):
            # In a transaction of its own, because impersonations are locked after all other sessions.
            sign_out(row.actor_session_id, client, is_held=True)


def _revoke(
    sessions: RefreshTokenQuerySet,
    reason: RefreshToken.Reason,
    by: Any = None,
    client: Client | None = None,
    note: str = "",
) -> list[RefreshToken]:
    alias = writer(RefreshToken)
    with durable(alias):
        rows, begun = lock(sessions)
        if rows:
            _end(alias, rows, reason, by, client, note)
        if begun:
            _end(alias, begun, RefreshToken.Reason.ACTOR_ENDED, by, client, note)
    return rows


def lock(sessions: RefreshTokenQuerySet) -> tuple[list[RefreshToken], list[RefreshToken]]:
    """Lock what `revoke` would end, until the commit. Return those of the sessions, and what was begun in them.

    Code that ends sessions for several reasons in one transaction locks all of them first.
    """
    own = list(_locked(sessions.filter(actor=None))[:BATCH])
    impersonations = sessions.exclude(actor=None)
    if not own:
        return list(_locked(impersonations)[:BATCH]), []
    ids = [row.id for row in own]
    # A statement of its own, because the one above does not see what began while it waited for a lock.
    found = list(_locked(impersonations | RefreshToken.objects.filter(actor_session_id__in=ids)))
    begun = {row.id for row in found if row.actor_session_id in ids}
    if begun:
        begun -= {row.id for row in _locked(sessions.filter(id__in=begun))}
    return own + [row for row in found if row.id not in begun], [row for row in found if row.id in begun]


def _locked(sessions: RefreshTokenQuerySet) -> RefreshTokenQuerySet:
    """Return those that are not revoked yet, in an order that an index has."""
    rows = sessions.using(writer(RefreshToken)).filter(revoked_at=None).annotate(now=DatabaseNow())  # type: ignore[no-redef]
    return rows.order_by("id").select_for_update(of=("self",))


def _end(
    alias: str, rows: list[RefreshToken], reason: RefreshToken.Reason, by: Any, client: Client | None, note: str
) -> None:
    now, ids = rows[0].now, [row.id for row in rows]
    RefreshToken.objects.using(alias).filter(id__in=ids).update(revoked_at=now, revoked_reason=reason, revoked_by=by)
    Revocation.objects.using(alias).bulk_create(Revocation(session_id=id, created_at=now) for id in ids)
    # Before the events, so that no request is authenticated by an ended session while receivers run.
    feed = current_feed()
    transaction.on_commit(lambda: feed.add(ids), using=alias)
    transaction.on_commit(partial(metrics.REVOCATIONS.labels(reason).inc, len(ids)), using=alias)
    events.write(
        events.new(
            _KINDS.get(reason, SecurityEvent.Kind.REVOKED),
            now,
            client or Client(),
            user_id=row.user_id,
            session_id=row.id,
            device_id=row.device_id,
            reason=f"{reason}: {note}" if note else reason,
            actor_id=by.pk if by else row.actor_id if reason in _BY_ITS_HOLDER else None,
        )
        for row in rows
    )
    user_ids = {row.user_id for row in rows}
    if reason in _BY_OPERATORS:
        revoked_by_operators.send(RefreshToken, user_ids=user_ids)
    ended.send(RefreshToken, session_ids=ids, user_ids=user_ids if reason in _WITH_EVERYTHING else set())


def end_everything_granted_to(user: Any) -> None:
    """End what was granted to the user, on whatever session."""
    with durable(writer(RefreshToken)):
        ended.send(RefreshToken, session_ids=[], user_ids={user.pk})


def revoke_all(
    sessions: RefreshTokenQuerySet,
    reason: RefreshToken.Reason,
    *,
    user: Any = None,
    by: Any = None,
    client: Client | None = None,
    note: str = "",
    on_batch: Callable[[int], None] | None = None,
) -> list[UUID]:
    """End all of these sessions, in batches that are committed one by one. Return the ids of those that were ended.

    ``user`` is given if everything of that user is to end. Then there is an event even if no session was live, because
    a sign-in in Django's session must not become a session of ours any more (`tokens.web.django.django_sign_in`).
    ``on_batch`` is called after each commit with the number of sessions that it has ended. The other arguments are
    those of `revoke`.
    """
    found: list[UUID] = []
    while batch := revoke(sessions, reason, by=by, client=client, note=note):
        found += batch
        if on_batch is not None:
            on_batch(len(batch))
    if user is not None and not found:
        alias = writer(SecurityEvent)
        text = f"{reason}: {note}" if note else reason
        event = events.new(
            SecurityEvent.Kind.REVOKED,
            clock(alias),
            client or Client(),
            user_id=user.pk,
            reason=text,
            actor_id=by and by.pk,
        )
        with durable(alias):
            events.write([event])
            if reason in _BY_OPERATORS:
                revoked_by_operators.send(RefreshToken, user_ids={user.pk})
    return found
