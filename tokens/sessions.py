"""What other apps may ask of sessions: the one module of this package, beside the API's base, that they import.

Whoever changes an account does so in one transaction with what it means for sessions::

    with sessions.lasting():
        user.save(update_fields=["password"])
        if not sessions.end_others(request, user, sessions.Reason.PASSWORD_CHANGED):
            raise SessionEnded  # Undoes the change.
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, user)

When `lasting` is left, the sessions have ended for every process, unless the caller holds a transaction open around it:
views that do this are decorated with `django.db.transaction.non_atomic_requests`.

Whoever wants to hear of what happens connects to the signal `happened`. It is sent when the event is committed, in the
request that caused it, which no receiver can break.
"""

from contextlib import AbstractContextManager
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.db.models import Exists, OuterRef
from django.http import HttpRequest

from tokens import throttles
from tokens.backends import open_door
from tokens.database import clock, durable, writer
from tokens.exchange import exchange_of, required_exchange
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.network import client_of
from tokens.service import ending, events, keeping
from tokens.service.client import network
from tokens.service.stamps import stamp_of
from tokens.throttles import Tally

__all__ = [
    "Kind",
    "Reason",
    "device_of",
    "end_all",
    "end_others",
    "happened",
    "is_live",
    "is_recent",
    "lasting",
    "open_door",
    "reauthenticate",
    "record",
    "throttle",
]

Kind = SecurityEvent.Kind
Reason = RefreshToken.Reason
happened = events.happened


def lasting() -> AbstractContextManager[None]:
    """A transaction whose commit waits for the disk: what it changed is there when it is left."""
    return durable(writer(RefreshToken))


def is_recent(request: HttpRequest) -> bool:
    """Whether who asks signed in recently enough to change the account; False for a stranger."""
    exchange = exchange_of(request)
    return exchange is not None and exchange.access is not None and keeping.is_recent(exchange.access)


def is_live(request: HttpRequest) -> bool:
    """Whether who asks is signed in, as the database knows it: an access token may outlive its session, or its user."""
    current = _current_id(request)
    return (
        current is not None
        and request.user.is_active
        and keeping.live_sessions(request.user).filter(id=current).exists()
    )


def reauthenticate(request: HttpRequest, user: Any) -> bool:
    """Note that the user has just given the password again: the response carries an access token that says so.

    Return False, with nothing done, if this request's session has ended.
    """
    current = _current_id(request)
    grant = keeping.reauthenticate(user, current) if current is not None else None
    if grant is not None:
        required_exchange(request).answer(grant)
    return grant is not None


def end_others(request: HttpRequest, user: Any, reason: RefreshToken.Reason) -> bool:
    """End all sessions of the user but this request's own, which outlives the password that ``user`` has got.

    Return False, with nothing done, if that one has ended already: then whoever asks may change nothing.
    """
    current, sessions = _current_id(request), keeping.live_sessions(user)
    # Locked in the order in which everybody locks them: two who end the same sessions must not wait for each other.
    if current not in {row.id for row in sessions.order_by("id").select_for_update(of=("self",))}:
        return False
    own = RefreshToken.objects.using(writer(RefreshToken)).filter(id=current)
    own.update(auth_hash_digest=stamp_of(user))
    if HASH_SESSION_KEY in request.session:
        update_session_auth_hash(request, user)  # What Django keeps of a sign-in by a page.
    ending.end_all(sessions.exclude(id=current), reason, client=client_of(request))
    return True


def end_all(request: HttpRequest, user: Any, reason: RefreshToken.Reason, note: str = "") -> None:
    """End all sessions of the user. ``note``: said of it in the events, beside the reason."""
    ending.end_all(keeping.live_sessions(user), reason, client=client_of(request), note=note)


def throttle(request: HttpRequest, what: str, email: str) -> bool:
    """Count a request for a mail. ``what``: "register" or "reset", as THROTTLES names them.

    Return False where there were too many for this address: then no mail is to be sent, and nothing to tell by it.
    Raises `Throttled` where there were too many from the network: then the request is to be refused.
    """
    client = client_of(request)
    if from_here := network(client.ip):
        throttles.take(Tally(f"{what}_network", from_here))
    try:
        throttles.take(Tally(f"{what}_account", email))
    except throttles.Throttled as error:
        events.log("throttled", name=error.name, wait=error.wait, ip=client.ip)
        return False
    return True


def record(request: HttpRequest, kind: SecurityEvent.Kind, user: Any = None, reason: str = "") -> None:
    """Write down what happened to ``user``, in the transaction that is open. ``reason``: never a secret."""
    events.write(
        [
            events.record(
                kind,
                clock(writer(SecurityEvent)),
                client_of(request),
                user_id=user and user.pk,
                session_id=_current_id(request),
                reason=reason,
            )
        ]
    )


def device_of(event: SecurityEvent) -> Any:
    """Return the device that an event speaks of, with its user, by one statement; None if there is none.

    Its ``is_first_ever`` says whether the user had never signed in before the session of this event, on any device.
    """
    if event.device_id is None:
        return None
    earlier = SecurityEvent.objects.filter(user=OuterRef("user"), kind=Kind.SIGNED_IN)
    rows = Device.objects.using(writer(Device)).select_related("user").filter(id=event.device_id)
    return rows.annotate(is_first_ever=~Exists(earlier.exclude(session_id=event.session_id))).first()


def _current_id(request: HttpRequest) -> Any:
    exchange = exchange_of(request)
    return exchange.access.session_id if exchange is not None and exchange.access is not None else None
