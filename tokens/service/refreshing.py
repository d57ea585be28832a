"""Refreshes a session by its refresh token: `tokens.protocol.rotation` decides, and this module carries it out.

A refresh is one read and one conditional update, or one statement that does both (`rotation_statement`). If another
request has changed the row meanwhile, the row is read again and decided again. No lock is held during a round trip. The
answer is a value, `IssuedTokens` or `Refusal`, and not an exception, so that the end of a session is always committed.
The claims hook is asked between the read and the update: while it fails, the presented token stays valid.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import OperationalError

from tokens import metrics
from tokens.conf import keyring, token_settings
from tokens.database.expressions import WithoutFlush
from tokens.database.transactions import durable, unless_overtaken, writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, SecurityEvent
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import InvalidRefreshToken, UnknownKey
from tokens.protocol.rotation import BEGINS_GENERATION, ENDS_SESSION, Decision, State, begin, decide, recover
from tokens.service import (
    acknowledgements,
    devices,
    events,
    hourly_events,
    issuing,
    lifetimes,
    queries,
    required_factors,
    rotation_statement,
    throttles,
    user_rules,
)
from tokens.service.auth_hash import renewed_digest
from tokens.service.claims import claims_of
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import revoke

ATTEMPTS = 100
"""How often a refresh is decided again before it fails. Each time another request has changed the row."""

_Reason = RefreshToken.Reason

_UNKNOWN_KEY, _NOT_OURS, _UNKNOWN_SESSION = "unknown key", "not a token of ours", "unknown session"
_FORGED, _ANOTHER_MODE, _OVER = "forged with a key of ours", "another storage mode", "session ended"
_WITHOUT_KEY, _ANOTHER_DEVICE = "bound to its device", "another device"
_LATE, _IDLE = Decision.LATE.value, Decision.IDLE.value
_FOREIGN = {_UNKNOWN_KEY, _NOT_OURS, _UNKNOWN_SESSION, _FORGED, _ANOTHER_MODE, _ANOTHER_DEVICE}
"""The causes for which a token that a sibling host can have planted counts as if it had not come."""

_GRANTED = Decision.ROTATE, Decision.REPEAT, Decision.RECOVER, Decision.CATCH_UP
_CAUSES: tuple[str, ...] = (
    *(_UNKNOWN_KEY, _NOT_OURS, _UNKNOWN_SESSION, _FORGED, _ANOTHER_MODE, _OVER, _WITHOUT_KEY, _ANOTHER_DEVICE),
    *(_LATE, _IDLE),
    *(_Reason.USER_DISABLED, _Reason.PASSWORD_CHANGED, _Reason.REUSE, _Reason.RECOVERIES_EXHAUSTED),
    _Reason.ACTOR_ENDED,
)
"""All causes of a refusal, as logs and metrics name them."""
metrics.start_at_zero(metrics.REFRESHES, *((decision.value, "") for decision in _GRANTED), metrics.FAILED)
metrics.start_at_zero(metrics.REFRESHES, *((Decision.REFUSE.value, str(cause)) for cause in _CAUSES))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refresh token was rejected.

    - ``definite``: whether every other process would reject it too. Cookies may be deleted only then.
    - ``bound``: the session, if it is still live but refreshed by the key of its device, and not by a token.
    - ``cause``: the reason, for logs and metrics. Clients are not told.
    - ``foreign``: whether a sibling host can have planted the token. It says nothing about the user's own session.
    - ``late``: whether the token was replaced while the request was under way. The session continues.
    - ``reopenable``: the session, if it is idle or lacks a factor, and this token reopens it together with one.
    """

    definite: bool = True
    bound: RefreshToken | None = field(default=None, compare=False, repr=False)
    cause: str = field(default="", compare=False)
    foreign: bool = field(default=False, compare=False)
    late: bool = field(default=False, compare=False)
    reopenable: RefreshToken | None = field(default=None, compare=False, repr=False)


def _labels(answer: IssuedTokens | Refusal) -> tuple[str, str]:
    if isinstance(answer, Refusal):
        return Decision.REFUSE.value, answer.cause
    return (answer.decision or Decision.REFUSE).value, ""


@metrics.counted(metrics.REFRESHES, metrics.REFRESH_SECONDS, _labels)
def refresh(
    text: str, modes: Collection[str], client: Client, *, old_name: bool = False, others: Sequence[str] | None = None
) -> IssuedTokens | Refusal:
    """Answer a presented refresh token.

    ``modes`` are the storage modes whose tokens may come in this way, by this cookie or in the body. Raise
    `OperationalError` if the database does not answer, and `ClaimsHookFailed` if the claims hook fails. The client can
    then try again with the same token.

    - ``old_name``: whether it came in a cookie of the older name, which scripts can set.
    - ``others``: further cookies of this name, if sibling hosts can set it, or None. Then the session counts only
      together with the token of its device, which sibling hosts cannot set.
    """
    if others is None:
        return _refresh(text, modes, client, old_name=old_name, of_device=False)
    text = choose_by_device([text, *others], client)
    answer = _refresh(text, modes, client, old_name=old_name, of_device=True)
    if isinstance(answer, Refusal) and answer.cause in _FOREIGN:
        return replace(answer, definite=False, foreign=True)
    return answer


def _refresh(
    text: str, modes: Collection[str], client: Client, *, old_name: bool, of_device: bool
) -> IssuedTokens | Refusal:
    try:
        presented = refresh_tokens.loads(text, keyring().mac_keys, old_name=old_name)
    except UnknownKey:
        return refuse(_UNKNOWN_KEY, definite=False)
    except InvalidRefreshToken:
        return refuse(_NOT_OURS)
    alias = writer(RefreshToken)
    with unless_overtaken(alias):
        if not token_settings().claims_hook and (issued := _rotate(presented, modes, client)):
            return issued
    for _ in range(ATTEMPTS):
        with unless_overtaken(alias):
            row = next(iter(RefreshToken.objects.for_decision().filter(id=presented.session_id)), None)
            if row is None:
                return refuse(_UNKNOWN_SESSION, presented.session_id)
            if not compare_digest(bytes(row.secret_digest), presented.digest):
                return refuse(_FORGED, row.id)
            if row.mode not in modes:
                return refuse(_ANOTHER_MODE, row.id)
            if of_device and not devices.is_held(row.device, client, row.now):
                return refuse(_ANOTHER_DEVICE, row.id)
            if answer := carry_out(row, presented, client):
                return answer
    raise OperationalError("a refresh lost every race for its row")


def throttle(answer: IssuedTokens | Refusal, client: Client) -> None:
    """Count a repetition for its session, and a rejection for the client's networks. Raise `Throttled`.

    A rotation is not counted. An honest client seldom needs the others.
    """
    if isinstance(answer, Refusal):
        throttles.take(*throttles.of_networks("refresh_network", client.ip))
    elif answer.decision is Decision.REPEAT:
        throttles.take(throttles.Tally("refresh_session", str(answer.session.id)))


def choose_by_device(texts: Sequence[str], client: Client) -> str:
    """Return the first refresh token of the newest session on the client's device. If there is none: the first."""
    found: dict[UUID, str] = {}
    for text in texts if len(texts) > 1 else ():
        with suppress(InvalidRefreshToken):
            found.setdefault(refresh_tokens.loads(text, keyring().mac_keys).session_id, text)
    if not found or client.device_token is None:
        return texts[0]
    rows = RefreshToken.objects.using(writer(RefreshToken)).filter(
        id__in=found, device__token_digest=devices.digest_of(client.device_token)
    )
    newest = rows.order_by("-id").values_list("id", flat=True).first()
    return texts[0] if newest is None else found[newest]


def presented_session(text: str, modes: Collection[str]) -> UUID | None:
    """Return the id of the session of a refresh token of any generation, or None if the token is not valid."""
    try:
        presented = refresh_tokens.loads(text, keyring().mac_keys)
    except InvalidRefreshToken:
        return None
    rows = RefreshToken.objects.using(writer(RefreshToken)).filter(id=presented.session_id, mode__in=modes)
    digest = rows.values_list("secret_digest", flat=True).first()
    return presented.session_id if digest is not None and compare_digest(bytes(digest), presented.digest) else None


def is_token_of(text: str, session_id: UUID, *, old_name: bool = False, since: int = 0) -> bool:
    """Return whether this is a refresh token of the session, of this generation or a later one. This needs no query.

    ``old_name``: whether it came in a cookie of the older name, which scripts can set.
    """
    try:
        presented = refresh_tokens.loads(text, keyring().mac_keys, old_name=old_name)
    except InvalidRefreshToken:
        return False
    return presented.session_id == session_id and presented.generation >= since


def _rotate(presented: refresh_tokens.RefreshToken, modes: Collection[str], client: Client) -> IssuedTokens | None:
    """Rotate by one statement, if nothing else has to be done. Return None if `decide` has to be asked.

    After a rotation for a user who is deactivated or has a new password, or for an actor whose own session has ended,
    `carry_out` follows, and ends the session.
    """
    row = rotation_statement.rotate(presented, modes, client)
    if row is None or not user_rules.may_act(row.user, row.backend) or queries.own_session(row) is None:
        return None
    auth_digest = renewed_digest(row, row.user)
    if auth_digest is None:
        return None
    if auth_digest != bytes(row.auth_hash_digest) and not row.unchanged().update(auth_hash_digest=auth_digest):
        return None
    return _issued(row, presented, Decision.ROTATE, {})


def carry_out(
    row: RefreshToken, presented: refresh_tokens.RefreshToken, client: Client, **more: object
) -> IssuedTokens | Refusal | None:
    """Carry out one decision, and return the answer. None: another request has changed the row.

    ``more``: columns that are set unless the token is refused. The commit then waits for the disk.
    """
    now, policy, own = row.now, token_settings().policy, queries.own_session(row)
    state = required_factors.state_of(row, now, own)
    late, under_way = client.late_session == row.id, client.under_way
    decision = decide(state, presented.generation, now, policy, late=late, under_way=under_way)
    if decision is Decision.REFUSE:
        return refuse(_OVER, row.id)
    if not user_rules.may_act(row.user, row.backend):
        return end(row, _Reason.USER_DISABLED, client)
    auth_digest = renewed_digest(row, row.user)
    if auth_digest is None:
        return end(row, _Reason.PASSWORD_CHANGED, client)
    if own is None:
        return end(row, _Reason.ACTOR_ENDED, client)
    if row.bound_at is not None:
        return _refused_without_key(row, row.bound_at, client)
    if decision is Decision.LATE or (client.may_hold_newer and decision in ENDS_SESSION):
        return replace(refuse(_LATE, row.id, definite=False), late=True)
    if decision is Decision.IDLE:
        # Nobody can prove a factor for an impersonation. The actor signs in, and begins another one.
        return replace(refuse(_IDLE, row.id, definite=False), reopenable=row if own is row else None)
    if decision is Decision.REUSE:
        return end(row, _Reason.REUSE, client)
    if decision in {Decision.RECOVER, Decision.EXHAUSTED} and acknowledgements.flush():
        return None
    if decision is Decision.EXHAUSTED:
        return end(row, _Reason.RECOVERIES_EXHAUSTED, client)
    claims = claims_of(row.user, row)
    if decision is Decision.RECOVER:
        written = _recover(row, recover(state, now), auth_digest, client, **more)
    elif decision in BEGINS_GENERATION:
        generation = state.generation + 1 if decision is Decision.ROTATE else presented.generation
        following = begin(state, generation, now)
        written = begin_generation(row, following, auth_digest, client, flushed=bool(more), **more)
    else:
        written = not more or write(row.unchanged(), row, more)
    if not written:
        return None
    if decision in {Decision.REPEAT, Decision.RECOVER}:
        hourly_events.note_if_elsewhere(row, now, client)
    return _issued(row, presented, decision, claims)


def _issued(
    row: RefreshToken, presented: refresh_tokens.RefreshToken, decision: Decision, claims: Mapping[str, Any]
) -> IssuedTokens:
    text, access = issuing.access_token(row, row.user, row.generation, row.now, claims=claims)
    # A client that presents the current refresh token gets no copy of it. A copy that arrives late could overwrite the
    # token of a later generation.
    is_there = decision is Decision.REPEAT and presented.generation == row.generation
    refresh_token = None if is_there else issuing.refresh_token(row, presented.secret)
    return IssuedTokens(row, row.user, access, text, refresh_token, decision=decision)


def begin_generation(
    row: RefreshToken, state: State, auth_digest: bytes, client: Client, *, flushed: bool = False, **more: object
) -> bool:
    """Begin a generation of the session, if no other request has changed the row. Return whether that was so.

    The first refresh of a session ends the earlier sessions on its device. ``flushed``: whether the commit waits for
    the disk. ``more``: columns that the same update sets.
    """
    if row.generation == 0:
        # Before the rotation, so that a retry after a failure does both.
        alias = writer(RefreshToken)
        earlier = (
            RefreshToken.objects.using(alias).unended().filter(device=row.device_id, created_at__lt=row.created_at)
        )
        if row.actor_session_id is not None:
            # Not the actor's own session, to which the actor goes back.
            earlier = earlier.filter(actor_session_id=row.actor_session_id)
        if earlier.exists():
            revoke(earlier, _Reason.SUPERSEDED, client=client)
    unchanged = row.unchanged()
    if not flushed and not token_settings().policy.strict:
        unchanged = unchanged.filter(WithoutFlush())
    return _update(unchanged, row, state, auth_digest, ip=client.ip, user_agent_digest=client.user_agent_digest, **more)


def _recover(row: RefreshToken, state: State, auth_digest: bytes, client: Client, **more: object) -> bool:
    with durable(writer(RefreshToken)):
        if not _update(row.unchanged(), row, state, auth_digest, **more):
            return False
        events.write([events.of_session(SecurityEvent.Kind.RECOVERED, row, state.since, client)])
    return True


def _update(
    unchanged: RefreshTokenQuerySet, row: RefreshToken, state: State, auth_digest: bytes, **where: object
) -> bool:
    values = {
        "generation": state.generation,
        "since": state.since,
        "recovered": state.recovered,
        "recoveries": state.recoveries,
        "acknowledged": state.acknowledged,
        "idle_expires_at": lifetimes.idle_until(row, state.since),
        "auth_hash_digest": auth_digest,
        **where,
    }
    return write(unchanged, row, values)


def write(unchanged: RefreshTokenQuerySet, row: RefreshToken, values: Mapping[str, Any]) -> bool:
    """Write columns to the row and to the object. Return False if another request has changed the row."""
    if not unchanged.update(**values):
        return False
    for name, value in values.items():
        setattr(row, name, value)
    return True


def end(row: RefreshToken, reason: RefreshToken.Reason, client: Client) -> Refusal | None:
    """End the session and return the refusal. None: another request has changed the row."""
    return refuse(reason, row.id) if revoke(row.unchanged(), reason, client=client) else None


def refuse(
    cause: str, session_id: UUID | None = None, *, definite: bool = True, bound: RefreshToken | None = None
) -> Refusal:
    """Return a refusal, and log its cause."""
    events.log("refresh refused", session=session_id, cause=cause)
    return Refusal(definite, bound, cause)


def _refused_without_key(row: RefreshToken, bound_at: datetime, client: Client) -> Refusal:
    """Reject the refresh token of a bound session, which stays live: the user's browser does not present it."""
    # During the grace the request may have been sent before the first proof.
    if row.now >= bound_at + token_settings().policy.grace:
        hourly_events.note_unproven(row, row.now, client, "refresh token")
    return refuse(_WITHOUT_KEY, row.id, bound=row)
