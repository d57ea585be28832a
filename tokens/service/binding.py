"""Binds a session to its device. A bound session is refreshed by a key that cannot be exported, and by no token.

========  =================================================  ==================================================
unbound   when the session is opened, binding is offered     refreshed by the refresh token (`refreshing`)
          (`is_offered`); other browsers ignore the offer
pending   the browser has registered its key (`register`)    refreshed by the refresh token, or the first proof
bound     the first valid proof has come (`refresh`)         refreshed by the key; the refresh token is invalid
========  =================================================  ==================================================

A registration requires the refresh token of the session. The offer is no secret: it is in a header, which logs may
contain. After a sign-in that was reached from another site, Chromium registers without cookies, and is refused with a
claim to another offer (`RefreshTokenMissing`), which the next response to a request of its own site makes
(`offer_again`). Other clients get no second offer. Otherwise the thief of a refresh token could bind a session whose
browser has no key.

A change of the account takes more than an access token, which services may have seen. A bound session has no refresh
token that would show it. So with each access token for which it has signed the browser gets a voucher, in a cookie that
no other host and no service sees (`tokens.web.possession`). It is good until the access token expires, and refreshes
nothing. Other rules were searched (`tests.tokens.protocol.voucher_search`). A view prolongs no access: after a
reauthentication the new access token expires with the one before, and after an impersonation the browser signs before
its next request.

A browser registers once, and may not receive the answer. So a key that was only registered changes nothing. After the
first proof, a copy of the cookies that was made before is useless, even if it was used for refreshes.

A refresh by the key is a rotation of the same row: one read and one conditional update. The server stores no
challenges. A challenge belongs to one generation, and the refresh ends that generation. If the same proof comes again,
the answer is a new challenge, because honest browsers repeat a proof when its response was lost. A wrong proof ends
nothing. Otherwise anyone who knows the id of a session could sign its user out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.db.models import Exists, OuterRef

from tokens import metrics
from tokens.conf import COOKIE, OFFER, SCOPED, keyring, token_settings
from tokens.database.transactions import durable, unless_overtaken, writer
from tokens.models import RefreshToken, SecurityEvent
from tokens.protocol import dbsc
from tokens.protocol.dbsc import InvalidProof, Proof
from tokens.protocol.rotation import begin
from tokens.service import events, issuing, lifetimes, required_factors, throttles
from tokens.service.auth_hash import renewed_digest
from tokens.service.claims import claims_of
from tokens.service.client import Client
from tokens.service.hourly_events import note_unproven
from tokens.service.issuing import IssuedTokens
from tokens.service.refreshing import Refusal, begin_generation, end, refuse
from tokens.service.user_rules import may_act

MODES = frozenset({COOKIE, SCOPED})
"""The storage modes in which a session can be bound: those whose access cookie belongs to one host.

Browsers bind the cookie of a whole site only with the help of a file on the site's top-level host.
"""
REGISTRATION_LIFETIME = timedelta(seconds=60)
"""For so long after the offer a key can be registered."""
CLAIM_LIFETIME = timedelta(hours=1)
"""For so long after a registration without the refresh token the browser can get another offer."""
ANSWERED_AFTER = timedelta(minutes=5)
"""A challenge stays valid for this much longer than an access token. The browser keeps it until the next refresh."""
SIGNS_WITHIN = 60
"""Seconds for which the browser keeps the access cookie that answers a registration.

So the next request brings a proof. The browser renews such a short cookie in parallel to that request, which
need not wait.
"""
ATTEMPTS = 10
"""How often a refresh is decided again before it fails. Each time another request has changed the row."""

_Reason = RefreshToken.Reason
NO_PROOF, STALE, MALFORMED, WRONG = "no proof", "stale challenge", "malformed proof", "wrong proof"
UNHELD = "no refresh token"

metrics.start_at_zero(
    metrics.BOUND_REFRESHES,
    *(("bound", ""), ("refreshed", ""), ("challenged", NO_PROOF), ("challenged", STALE), metrics.FAILED),
    *(("refused", cause) for cause in (MALFORMED, WRONG)),
)
metrics.start_at_zero(metrics.REGISTRATIONS, ("registered", ""), ("refused", UNHELD))


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the browser has to sign before it gets an access token. ``cause`` is the reason, for the metrics."""

    session_id: UUID
    text: str
    cause: str


@dataclass(frozen=True, slots=True)
class RefreshTokenMissing:
    """The registration came without a refresh token. ``claim`` entitles the browser to another offer."""

    claim: str


def offers_binding() -> bool:
    """Return whether this deployment binds sessions to devices."""
    return token_settings().offers_binding


def is_offered(session: RefreshToken) -> bool:
    """Return whether the browser is offered to bind this new session. An impersonation, which is short, never is."""
    return offers_binding() and session.mode in MODES and session.actor_id is None


def offer(session_id: UUID, now: datetime) -> dbsc.Offer:
    """Return what the browser has to sign to bind this session."""
    return dbsc.offer(keyring().binding_keys[0], session_id, now)


def is_claim(text: str, session_id: UUID, now: datetime) -> bool:
    """Return whether this is a claim to another offer for the session. This needs no query."""
    is_ours = dbsc.is_good_claim(text, keyring().binding_keys, session_id, now, CLAIM_LIFETIME)
    return is_ours and offers_binding()


def offer_again(session_id: UUID, now: datetime) -> dbsc.Offer | None:
    """Return another offer to bind this session. None if a parallel request has got one: browsers sign seldom."""
    is_first = throttles.is_first(f"offer {session_id}", int(REGISTRATION_LIFETIME.total_seconds()))
    return offer(session_id, now) if is_first else None


def voucher(session_id: UUID, expires_at: float) -> str:
    """Return the voucher that a browser gets together with an access token that expires then, in POSIX seconds."""
    return dbsc.voucher(keyring().binding_keys[0], session_id, expires_at)


def is_voucher(text: str, session_id: UUID, now: datetime) -> bool:
    """Return whether this is a voucher of the session that has not expired. This needs no query."""
    return dbsc.is_good_voucher(text, keyring().binding_keys, session_id, now)


def next_challenge(session: RefreshToken) -> str:
    """Return the challenge that the next refresh of this session has to sign. The session was read just now."""
    return dbsc.challenge(keyring().binding_keys[0], session.id, session.generation, session.now)


def register(
    text: str, now: datetime, is_held: Callable[[RefreshToken], bool] | None
) -> IssuedTokens | RefreshTokenMissing | Refusal:
    """Register the key of the device, which is pending then, and return an access token.

    ``is_held`` says whether the request has a refresh token of the session. None: it has no refresh token at all.

    The same key is answered again. Another key is refused. Raise `OperationalError` if the database does not answer:
    the session then stays unbound.
    """
    answer = _register(text, now, is_held)
    cause = answer.cause if isinstance(answer, Refusal) else UNHELD if isinstance(answer, RefreshTokenMissing) else ""
    metrics.REGISTRATIONS.labels("refused" if cause else "registered", cause).inc()
    return answer


def _register(
    text: str, now: datetime, is_held: Callable[[RefreshToken], bool] | None
) -> IssuedTokens | RefreshTokenMissing | Refusal:
    try:
        proof = dbsc.unverified(text)
        session_id = dbsc.offered_session(proof, keyring().binding_keys, now, REGISTRATION_LIFETIME)
        key, algorithm = proof.registered_key()
    except InvalidProof:
        return refuse(WRONG)
    if is_held is None:
        refuse(UNHELD, session_id)
        return RefreshTokenMissing(dbsc.claim(keyring().binding_keys[0], session_id, now))
    for _ in range(ATTEMPTS):
        with unless_overtaken(writer(RefreshToken)):
            row = next(iter(RefreshToken.objects.for_decision().filter(id=session_id)), None)
            if (
                row is None
                or row.state(row.now).ended
                or required_factors.lacks_factor(row, row.now)
                or not may_act(row.user, row.backend)
                or renewed_digest(row, row.user) is None
            ):
                return refuse("session ended", session_id)
            if row.mode not in MODES or row.bound_at is not None or not is_held(row):
                return refuse("another refresh token", session_id)
            claims = claims_of(row.user, row)
            if row.bound_key is None and not _set_key(row, key, algorithm):
                continue
            if (row.bound_key, row.bound_algorithm) != (key, algorithm):
                return refuse("another key", session_id)
            # Without a generation: the client that gets this token may not have received the latest refresh token.
            access_text, access = issuing.access_token(row, row.user, None, row.now, claims=claims)
            return IssuedTokens(row, row.user, access, access_text, vouches=True, keep_for=SIGNS_WITHIN)
    raise OperationalError("a registration lost every race for its row")


def _set_key(row: RefreshToken, key: dict[str, str], algorithm: str) -> bool:
    """Write the pending key to the row. Return False if another request has changed the row."""
    if not row.unchanged().filter(bound_key__isnull=True).update(bound_key=key, bound_algorithm=algorithm):
        return False
    row.bound_key, row.bound_algorithm = key, algorithm
    return True


def _labels(answer: IssuedTokens | Challenge | Refusal) -> tuple[str, str]:
    match answer:
        case Challenge():
            return "challenged", answer.cause
        case Refusal():
            return "refused", answer.cause
    return "bound" if answer.binds else "refreshed", ""


@metrics.counted(metrics.BOUND_REFRESHES, metrics.BOUND_REFRESH_SECONDS, _labels)
def refresh(
    session_id: UUID | None, proof: str | None, client: Client, *, is_open: bool = False
) -> IssuedTokens | Challenge | Refusal:
    """Answer a proof, or a request without one (``proof`` is None), by the key of the session.

    No cookie has to come with the request, with one exception. The browser keeps the key when it is closed, but a
    session without "remember me" has to end then. ``is_open`` says that the cookie of an open browser came. Without it
    the request is refused, and the session is left to its idle end, because any client can leave a cookie out.

    If DEVICE_BOUND is switched off, bound sessions stay bound, and pending keys stay pending. If the session lacks a
    factor (`tokens.service.required_factors`), the browser deletes the key, and the user signs in anew.

    Raise `OperationalError` if the database does not answer. The browser can then try again.
    """
    if session_id is None:
        return refuse("no session")
    newer = RefreshToken.objects.live().filter(
        device=OuterRef("device"), created_at__gt=OuterRef("created_at"), bound_key__isnull=False
    )
    for _ in range(ATTEMPTS):
        with unless_overtaken(writer(RefreshToken)):
            rows: Any = RefreshToken.objects.for_decision().filter(id=session_id).annotate(is_left=Exists(newer))
            row = next(iter(rows), None)
            if row is None:
                return refuse("unknown session", session_id)
            if row.bound_at is not None and row.is_left:
                # The browser refreshes both sessions and keeps the cookie that comes last. This session ends with the
                # first proof of the newer one.
                return refuse("left for a newer sign-in", session_id)
            if issuing.ends_with_browser(row) and not is_open:
                return refuse("browser closed", session_id)
            if answer := _answer(row, proof, client):
                return answer
    raise OperationalError("a refresh lost every race for its row")


def _answer(row: RefreshToken, text: str | None, client: Client) -> IssuedTokens | Challenge | Refusal | None:
    """Carry out one decision, and return the answer. None: another request has changed the row."""
    now = row.now
    state = row.state(now)
    if row.bound_key is None or (row.bound_at is None and token_settings().device_bound != OFFER):
        return refuse("no key", row.id)
    if state.ended:
        return refuse("session ended", row.id)
    if not may_act(row.user, row.backend):
        return end(row, _Reason.USER_DISABLED, client)
    auth_digest = renewed_digest(row, row.user)
    if auth_digest is None:
        return end(row, _Reason.PASSWORD_CHANGED, client)
    if required_factors.lacks_factor(row, now):
        return refuse("idle", row.id)
    if text is None:
        return _challenge(row, NO_PROOF)
    try:
        proof = dbsc.unverified(text)
    except InvalidProof:
        return _unproven(row, MALFORMED, client)
    if not _is_fresh(proof, row):
        return _challenge(row, STALE)
    try:
        proof.verify(row.bound_key, row.bound_algorithm)
    except InvalidProof:
        return _unproven(row, WRONG, client)
    claims = claims_of(row.user, row)
    following, binds = begin(state, state.generation + 1, now), row.bound_at is None
    if binds:
        more = {"bound_at": now, "idle_expires_at": lifetimes.idle_until(row, now, is_bound=True)}
        with durable(writer(RefreshToken)):
            if not begin_generation(row, following, auth_digest, client, flushed=True, **more):
                return None
            events.write([events.of_session(SecurityEvent.Kind.BOUND, row, now, client)])
    elif not begin_generation(row, following, auth_digest, client):
        return None
    # Without a generation: there is no refresh token whose receipt the access token could prove.
    access_text, access = issuing.access_token(row, row.user, None, now, claims=claims)
    return IssuedTokens(row, row.user, access, access_text, binds=binds, vouches=True)


def _is_fresh(proof: Proof, row: RefreshToken) -> bool:
    lifetime = token_settings().access_lifetime + ANSWERED_AFTER
    return dbsc.is_good_challenge(proof.challenge, keyring().binding_keys, row.id, row.generation, row.now, lifetime)


def _challenge(row: RefreshToken, cause: str) -> Challenge:
    return Challenge(row.id, next_challenge(row), cause)


def _unproven(row: RefreshToken, cause: str, client: Client) -> Refusal:
    note_unproven(row, row.now, client, cause)
    return refuse(cause, row.id)
