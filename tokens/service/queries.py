"""Reads sessions, always from the database that takes writes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet

from tokens.conf import token_settings
from tokens.database.expressions import Ago
from tokens.database.transactions import writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, SecurityEvent
from tokens.protocol.access_tokens import AccessToken, instant
from tokens.service import auth_hash, devices, required_factors
from tokens.service.client import Client
from tokens.service.user_rules import may_act

if TYPE_CHECKING:
    from tokens.database.prepared import Prepared

RESET = "reset"
"""The reason in the security event of a password that a link in a mail has set (`accounts.service.passwords`)."""


def live_sessions(user: Any) -> RefreshTokenQuerySet:
    """Return the user's sessions that have not ended, also idle ones, with devices and actors, newest first."""
    return (
        RefreshToken.objects.using(writer(RefreshToken))
        .unended()
        .filter(user=user)
        .select_related("device", "actor", *(["user"] if token_settings().requires_factor else []))
        .order_by("-id")
    )


def is_live(session_id: UUID) -> bool:
    """Return whether the session has not ended."""
    return RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id).exists()


def ends_of_live(session_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """Return for each of these sessions that has not ended until when it is good, if nothing happens (`good_until`).

    Those that lack a factor are left out.
    """
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id__in=session_ids)
    if token_settings().requires_factor is None:
        return {id: min(ends) for id, *ends in rows.values_list("id", "idle_expires_at", "expires_at")}
    return {row.id: good_until(row) for row in rows.for_decision() if not _lacks_factor(row)}


def good_until(session: RefreshToken) -> datetime:
    """Return until when nobody has to ask again for the row of a session: when it expires.

    With REQUIRED_FACTORS it may lack a factor before that, and is then asked for it as soon as a client that refreshes.
    """
    if token_settings().requires_factor is None:
        return session.ends_at
    return min(session.ends_at, session.now + token_settings().access_lifetime)


class TokenState(NamedTuple):
    """What a live session's row says about the tokens that may be presented for it."""

    secret_digest: bytes
    mode: str
    generation: int
    recovered: int
    remember: bool
    is_bound: bool


def token_state(session_id: UUID) -> TokenState | None:
    """Return what the session's row says about its tokens. None: it has ended, or the purge has deleted it."""
    rows = RefreshToken.objects.using(writer(RefreshToken)).live().filter(id=session_id)
    found = rows.values_list("secret_digest", "mode", "generation", "recovered", "remember", "bound_at").first()
    return None if found is None else TokenState(bytes(found[0]), *found[1:5], is_bound=found[5] is not None)


def was_ended_since(session_id: UUID, since: datetime) -> bool:
    """Return whether somebody has ended a session that was live at ``since``, or after that a later one on its device.

    True if there is no such session, or its device was forgotten. A session that the same person replaced on its
    device, or that made way for a newer one, was not ended. Impersonations do not count.
    """
    rows = RefreshToken.objects.using(writer(RefreshToken))
    session = rows.filter(id=session_id).select_related("device").first()
    if session is None or session.device.forgotten:
        return True
    reasons = RefreshToken.Reason
    later = Q(device=session.device_id, actor=None, created_at__gte=session.created_at, revoked_at__gt=since)
    ended = rows.filter(Q(id=session_id, revoked_at__isnull=False) | later).exclude(revoked_reason=reasons.TOO_MANY)
    # Another person's sign-in in the same browser supersedes the session too. It leaves no session of this person.
    successor = rows.filter(
        device=OuterRef("device"),
        actor=None,
        created_at__gte=OuterRef("created_at"),
        created_at__lte=OuterRef("revoked_at"),
    ).exclude(id=OuterRef("id"))
    return ended.exclude(Q(Exists(successor), revoked_reason=reasons.SUPERSEDED)).exists()


def backend_of(session_id: UUID) -> str:
    """Return the dotted path of the backend with which the session was opened, or "" if it is not known."""
    rows = RefreshToken.objects.using(writer(RefreshToken)).filter(id=session_id)
    return rows.values_list("backend", flat=True).first() or ""


def was_revoked_within(user: Any, period: timedelta | None, *, or_signed_out: bool) -> bool:
    """Return whether a session of the user was revoked within the last ``period`` (None: ever), by the security events.

    A session that made way for a newer one does not count, and a sign-out counts only with ``or_signed_out``. If the
    period is longer than events are kept, the answer is true.
    """
    if period is not None and period >= token_settings().event_retention:
        return True
    kinds, reasons = SecurityEvent.Kind, RefreshToken.Reason
    harmless = [
        reasons.SUPERSEDED,
        reasons.TOO_MANY,
        reasons.RELEASED,
        reasons.ACTOR_ENDED,
        *([] if or_signed_out else [reasons.SIGNED_OUT]),
    ]
    rows = SecurityEvent.objects.using(writer(SecurityEvent)).filter(
        user=user.pk, kind__in=[kinds.REVOKED, kinds.REUSE_DETECTED, kinds.RECOVERIES_EXHAUSTED, kinds.ALARM]
    )
    if period is not None:
        rows = rows.filter(created_at__gt=Ago(period))
    for reason in harmless:
        rows = rows.exclude(Q(reason=reason) | Q(reason__startswith=f"{reason}: "))
    return rows.exists()


def recent_events(user: Any, number: int) -> list[SecurityEvent]:
    """Return the latest security events of the user that a person understands, newest first.

    Attempts are left out, because strangers can cause so many that they hide the others.
    """
    kinds = SecurityEvent.Kind
    technical = (kinds.RECOVERED, kinds.ELSEWHERE, kinds.UNPROVEN, kinds.MAIL_DROPPED, kinds.PURGED)
    rows = SecurityEvent.objects.using(writer(SecurityEvent)).filter(user=user.pk).select_related("actor")
    return [*rows.exclude(kind__in=[*technical, *SecurityEvent.ATTEMPTS]).order_by("-id")[:number]]


def is_recovery(user: Any, period: timedelta) -> bool:
    """Return whether a password that a link sets now follows the alarm, by the security events of the last ``period``.

    It does not if a link has set another one since, or if the user was the last to change the address in the period.
    """
    kinds = SecurityEvent.Kind
    is_reset = Q(kind=kinds.PASSWORD_CHANGED, reason=RESET)
    rows = SecurityEvent.objects.using(writer(SecurityEvent)).filter(user=user.pk, created_at__gt=Ago(period))
    latest = rows.order_by("-created_at", "-id")
    last = latest.filter(Q(kind=kinds.ALARM) | is_reset).values_list("kind", flat=True).first()
    if last != kinds.ALARM:
        return False
    change = latest.filter(kind=kinds.EMAIL_CHANGED).first()
    return change is None or change.actor_id is not None


def bound_session(session_id: UUID) -> RefreshToken | None:
    """Return the session with its user and device, if it is live and bound to its device."""
    return RefreshToken.objects.for_decision().live().filter(id=session_id, bound_at__isnull=False).first()


def is_active(access: AccessToken) -> bool:
    """Return whether the access token is valid now, by the session's row and not by the revocation feed (RFC 7662).

    It is valid if it has not expired, and a refresh of its session would not be rejected.
    """
    session = session_of(access)
    return session is not None and session.now < instant(access.expires_at)


def session_of(access: AccessToken) -> RefreshToken | None:
    """Return the session of an access token, with its user and device. None: a refresh of it would be rejected."""
    session = RefreshToken.objects.for_decision().live().filter(id=access.session_id).first()
    if (
        session is None
        or str(session.user.pk) != access.subject
        or not may_act(session.user, session.backend)
        or auth_hash.renewed_digest(session, session.user) is None
    ):
        return None
    own = own_session(session)
    return None if own is None or required_factors.lacks_factor(own, session.now) else session


def reopenable_session(session_id: UUID, subject: str) -> RefreshToken | None:
    """Return the session of this user that a factor reopens, because it is idle or lacks one. None: it is neither,
    or has ended, or is an impersonation.

    Without LIFETIMES and REQUIRED_FACTORS this takes no query.
    """
    found = token_settings()
    if not found.reopened_sets and found.requires_factor is None:
        return None
    session = RefreshToken.objects.for_decision().unended().filter(id=session_id, actor=None).first()
    if (
        session is None
        or str(session.user.pk) != subject
        or not may_act(session.user, session.backend)
        or auth_hash.renewed_digest(session, session.user) is None
    ):
        return None
    return session if session.is_idle(session.now) or required_factors.lacks_factor(session, session.now) else None


def own_session(session: RefreshToken) -> RefreshToken | None:
    """Return the session of the person who acts: that in which an impersonation was begun, or any other one itself.

    Only an impersonation takes a query. None: the actor's own session has ended, and the impersonation with it.
    """
    if session.actor_session_id is None:
        return session if session.actor_id is None else None
    own = RefreshToken.objects.for_decision().live().filter(id=session.actor_session_id, user=session.actor_id).first()
    is_good = own is not None and may_act(own.user, own.backend) and auth_hash.renewed_digest(own, own.user) is not None
    return own if is_good else None


def lacks_factor(session_id: UUID) -> bool:
    """Return whether a session lacks a factor that its user needs. Without REQUIRED_FACTORS this takes no query."""
    if token_settings().requires_factor is None:
        return False
    session = RefreshToken.objects.for_decision().filter(id=session_id).first()
    return session is not None and _lacks_factor(session)


def _lacks_factor(session: RefreshToken) -> bool:
    own = own_session(session)
    return own is not None and required_factors.lacks_factor(own, session.now)


def is_still_current(session: RefreshToken) -> bool:
    """Return whether the session is not revoked, and no newer session has been opened on its device."""
    alias = writer(RefreshToken)
    connection = connections[alias]
    if connection.vendor == "postgresql":
        found = _prepared_newest(alias).fetchone(connection, [session.device_id])
    else:
        found = _newest_of_device(session.device_id).using(alias).first()
    return bool(found == (session.id,))


def has_live_session(client: Client) -> bool:
    """Return whether any user is signed in on the client's device, or on the one that has replaced it.

    A session in which an impersonation was begun does not count, unless it is bound: the browser does not have its
    tokens any more.
    """
    here = devices.here(client)
    if not here:
        return False
    begun = RefreshToken.objects.filter(actor_session_id=OuterRef("id"))
    rows = RefreshToken.objects.using(writer(RefreshToken)).unended().filter(~Exists(begun) | Q(bound_at__isnull=False))
    return rows.filter(device__in=here).exists()


def _newest_of_device(device_id: UUID) -> QuerySet[RefreshToken, tuple[UUID]]:
    """Select the device's newest session that is not revoked."""
    rows = RefreshToken.objects.filter(device=device_id, revoked_at=None)
    return rows.order_by("-created_at").values_list("id")[:1]


@lru_cache(maxsize=8)
def _prepared_newest(alias: str) -> "Prepared":
    """Return `_newest_of_device` as a prepared statement. Each refresh by the middleware ends with it."""
    from tokens.database.prepared import Prepared  # `prepared` imports psycopg, which SQLite does not need.

    text, _ = _newest_of_device(UUID(int=0)).query.get_compiler(alias).as_sql()
    return Prepared(text, ["uuid"])
