"""The public Python API of `tokens`: what any other app may import. It does not import REST framework.

An app that changes the account of the request's user does so in a transaction that also checks the session, because
an access token outlives its session for a moment. It ends other sessions in the same transaction::

    with sessions.change_account(request) as user:  # Raises SessionEnded and RefreshTokenRequired.
        user.set_password(new)
        user.save(update_fields=["password"])
        sessions.revoke_others(request, user, sessions.Reason.PASSWORD_CHANGED)
        sessions.record(request, sessions.Kind.PASSWORD_CHANGED, user)

The middleware answers both for views that do not catch them. In an impersonation, `change_account` raises
`ImpersonationRefused`, which is a `django.core.exceptions.PermissionDenied`.

`RefreshTokenRequired` means that the request has an access token only, which other hosts and services may see too. In
the storage modes ``cookie`` and ``subdomain`` nothing has to be done, because browsers send the refresh token with
every request. If the session is bound to its device, they send a voucher instead. In mode ``body`` pass the refresh
token of the request's body. In mode ``scoped`` pages have neither (`has_refresh_token`): ask for the current
password. `revoke`, `sign_out_elsewhere` and `rename_device` take the same arguments::

    with sessions.change_account(request, refresh_token=given.get("refresh_token")): ...
    known = authenticate(request, username=request.user.get_username(), password=given["current_password"])
    if known is not None:
        with sessions.change_account(request, authenticated=known): ...

When the block is left, the sessions have ended for every process. This is not so inside another transaction: decorate
such views with `django.db.transaction.non_atomic_requests`.

To be notified of security events, connect to the signal `happened`. It is sent after the commit, in the request that
caused the event. An exception in a receiver is logged, and does not affect the request.

`tokens.api.public` is the other public module, for apps with API endpoints of their own.
"""

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse

from tokens.database import transactions
from tokens.database.transactions import clock, writer
from tokens.hashers import password_spellings
from tokens.models import Device, RefreshToken, SecurityEvent
from tokens.service import auth_hash, devices, events, queries, reauthentication, revocation, trust
from tokens.service.addresses import user_of
from tokens.service.canonical_names import canonical
from tokens.service.claims import ClaimsSession
from tokens.service.client import Client
from tokens.service.impersonation import ImpersonationRefused
from tokens.service.possession import RefreshTokenRequired
from tokens.service.users import SessionEnded
from tokens.web import attempts, factors, possession, tenants
from tokens.web.django import django_session, expiry
from tokens.web.exchange import current_id, exchange_of
from tokens.web.factors import Factor
from tokens.web.http import problems
from tokens.web.http.client import client_of
from tokens.web.http.relying_party import relying_party
from tokens.web.methods import ATTRIBUTE as METHODS
from tokens.web.methods import Given, UnknownMethod, proved
from tokens.web.operations import account_sessions, impersonation, pending, reopening, session, staff
from tokens.web.operations.factor_answers import answered
from tokens.web.operations.mailing import may_send, throttle
from tokens.web.operations.one_factor import sign_in_by
from tokens.web.operations.recovery import account_recovered, recover_account
from tokens.web.operations.step_up import factors_for, requires
from tokens.web.sign_in_policy import FactorRequired, MoreNeeded, Open, Refuse, SignInRefused
from tokens.web.trust import end_device_trust, is_device_trusted

__all__ = [
    "MAX_DEVICE_NAME",
    "ClaimsSession",
    "Factor",
    "FactorRequired",
    "ImpersonationRefused",
    "Kind",
    "MoreNeeded",
    "Open",
    "Reason",
    "RefreshTokenRequired",
    "Refuse",
    "SessionEnded",
    "SignInRefused",
    "UnknownMethod",
    "account_recovered",
    "actor_id",
    "add_method",
    "allow_sign_in_after_reset",
    "answered",
    "authenticate",
    "canonical",
    "change_account",
    "change_accounts",
    "could_not_refresh",
    "current_id",
    "device_of",
    "durable",
    "encryption_keys",
    "end_device_trust",
    "enter_tenant",
    "factors",
    "factors_for",
    "happened",
    "has_refresh_token",
    "has_signed_in_before",
    "idle_lacks_factor",
    "idle_user",
    "impersonate",
    "is_device_trusted",
    "is_live",
    "is_recent",
    "is_same_password",
    "lacks_factor",
    "live_sessions",
    "may_remember",
    "may_send",
    "now",
    "open_session",
    "password_digest",
    "password_spellings",
    "pending",
    "reauthenticate",
    "recent_events",
    "record",
    "recover_account",
    "release",
    "relying_party",
    "rename_device",
    "reopen",
    "requires",
    "revoke",
    "revoke_all",
    "revoke_others",
    "revoked_by_operators",
    "sign_in_by",
    "sign_out_elsewhere",
    "take_turns",
    "tenant",
    "throttle",
    "unauthorized",
    "user_of",
    "validate_device_name",
    "was_ended_since",
]

Kind = SecurityEvent.Kind
Reason = RefreshToken.Reason
happened = events.happened
authenticate = attempts.authenticate
encryption_keys = tenants.encryption_keys
impersonate = impersonation.impersonate
release = impersonation.release
actor_id = impersonation.actor_id
revoke = session.revoke
revoke_all = account_sessions.revoke_all
revoke_others = account_sessions.revoke_others
change_account = session.change_account
change_accounts = staff.change_accounts
has_refresh_token = possession.has_refresh_token
sign_out_elsewhere = session.sign_out_elsewhere
live_sessions = queries.live_sessions
recent_events = queries.recent_events
was_ended_since = queries.was_ended_since
revoked_by_operators = revocation.revoked_by_operators
password_digest = auth_hash.digest_of
is_same_password = auth_hash.is_same_password
rename_device = session.rename_device
allow_sign_in_after_reset = attempts.allow_after_reset
MAX_DEVICE_NAME = devices.MAX_NAME
may_remember = expiry.may_remember
idle_user = reopening.idle_user
idle_lacks_factor = reopening.idle_lacks_factor
lacks_factor = reopening.lacks_factor
is_live = session.is_live
reopen = reopening.reopen
validate_device_name = devices.without_control_characters
enter_tenant = tenants.enter_tenant
tenant = tenants.current
"""Return the name of the tenant of this request (the setting TENANT_HOOK). Empty: it has none."""


def durable() -> AbstractContextManager[None]:
    """Return a transaction whose commit waits for the disk. What it changed is stored when the block is left."""
    return transactions.durable(writer(RefreshToken))


def now() -> datetime:
    """Return the time by the clock of the database, which also times the ends of sessions."""
    return clock(writer(RefreshToken))


def take_turns(name: str) -> None:
    """In the transaction of `durable`, wait until no other one has the turn of this name. Keep it until the commit."""
    name = f"{tenants.current()}\n{name}" if tenants.current() else name
    lock_id = int.from_bytes(sha256(name.encode("utf-8", "replace")).digest()[:8], signed=True)
    transactions.take_turns(writer(RefreshToken), lock_id)


def is_recent(request: HttpRequest) -> bool:
    """Return whether the user authenticated recently enough to change the account.

    False for an anonymous user, and in an impersonation.
    """
    exchange = exchange_of(request)
    return exchange is not None and exchange.access is not None and reauthentication.is_recent(exchange.access)


def has_signed_in_before(request: HttpRequest) -> bool:
    """Return whether the browser says that somebody has signed in with it before. This asks no database."""
    return client_of(request).device_token is not None


def could_not_refresh(request: HttpRequest) -> bool:
    """Return whether the browser says that it could not refresh a bound session. Its user is not signed out."""
    exchange = exchange_of(request)
    return exchange is not None and exchange.skipped


def unauthorized(request: HttpRequest) -> HttpResponse:
    """Return the 401 for a request that needs a user and has none, for APIs that are not REST framework's.

    Its problem (RFC 9457) says what the client has to do: ``token_expired``, ``session_ended``, ``session_idle`` or
    ``not_authenticated``. A client that does not ask for JSON gets a page or a line of text, except under ``/api/``.
    """
    exchange = exchange_of(request)
    return problems.respond(request, problems.NOT_AUTHENTICATED if exchange is None else exchange.problem)


def open_session(request: HttpRequest, user: Any, *, methods: Given) -> None:
    """Sign in a user, as `django.contrib.auth.login` does. The response carries the tokens in cookies.

    ``methods`` says how the user has just authenticated: values of the registry of RFC 8176 or of OWN_METHODS, or the
    time of each by its name. Empty: it is not known. Raise `UnknownMethod`.
    """
    given = methods if isinstance(methods, Mapping | str) else [*methods]
    proved(given)  # Before anything is changed.
    setattr(user, METHODS, given)
    login(request, user, getattr(user, "backend", None) or django_session.default_backend())


def add_method(request: HttpRequest, *names: str) -> bool:
    """Record that the user of this request has just authenticated by these methods, too.

    The response carries an access token that says so, with a new ``auth_time``. After `open_session` or Django's
    ``login`` in the same request, they are those of the session that the response opens.

    Return False, and do nothing, if the session of this request has ended. Raise `UnknownMethod`, and
    `ImpersonationRefused` in an impersonation.
    """
    return session.add_methods(request, proved(names))


def reauthenticate(request: HttpRequest, user: Any) -> bool:
    """Record that the user has just authenticated again. The response carries an access token that says so.

    ``user`` is what `django.contrib.auth.authenticate` or `answered` has returned. What was checked is added to the
    methods of the session (docs/explanation/authentication-methods.md).

    Return False, and do nothing, if the session of this request has ended.
    """
    return session.reauthenticate(request, user) is not None


def record(
    request: HttpRequest | None,
    kind: SecurityEvent.Kind,
    user: Any = None,
    reason: str = "",
    *,
    by: Any = None,
    discard: bool | None = None,
) -> None:
    """Write a security event about ``user``, in the transaction that is open. ``reason`` must not contain a secret.

    ``by`` is the member of the staff who has done it, if any. In an impersonation the event names the actor. What
    anybody can cause (`SecurityEvent.ATTEMPTS`) is written by `events.write_attempt`, which explains ``discard``.
    """
    event = events.new(
        kind,
        clock(writer(SecurityEvent)),
        client_of(request) if request is not None else Client(),
        user_id=user and user.pk,
        session_id=current_id(request) if by is None else None,
        reason=reason,
        actor_id=actor_id(request) if by is None else by.pk,
    )
    trust.end_if_factor_removed(event)
    if kind in SecurityEvent.ATTEMPTS:
        events.write_attempt(event, discard=discard)
    else:
        events.write([event])


def device_of(event: SecurityEvent) -> Any:
    """Return the device of an event, with its user, by one query. None if there is no such device."""
    if event.device_id is None:
        return None
    return Device.objects.using(writer(Device)).select_related("user").filter(id=event.device_id).first()


_RENAMED = {
    "end_all": "revoke_all",
    "end_others": "revoke_others",
    "lasting": "durable",
    "open_door": "allow_sign_in_after_reset",
}


def __getattr__(name: str) -> Any:
    """Return what an old name stands for. The old names work until the next release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"tokens.sessions.{name} is now called {_RENAMED[name]}.", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
