"""Passkeys: created, used to sign in and to answer for a user who is known, renamed, removed.

A challenge is answered once: its nonce is stored in the transaction that accepts the answer. What answers for a user
who is known locks only the row of its passkey. A sign-in locks the user first (`tokens.web.one_factor`).
"""

import secrets
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from factors import authenticators, ceremonies, challenges
from factors.ceremonies import Assertion, Refused, Stored
from factors.challenges import Challenge
from factors.models import Passkey, UsedChallenge, UserHandle
from factors.service import recovery_codes, totp
from factors.service.changing import change
from tokens import sessions

NAME = "passkey"
MOST = 50
"""Passkeys of one account. Their ids are all in the answer to a request for options."""
MAX_NAME = 100
_HANDLE_BYTES = 64
_FORGOTTEN_AT_ONCE = 20
"""Used challenges that are deleted when one is stored."""


class CreationRefused(Exception):
    """No passkey was created: the answer is not right, or too late, or the passkey is known already."""


class TooMany(Exception):
    """The account has `MOST` passkeys."""


class NoSuchPasskey(Exception):
    """The user has no such passkey."""


class UnknownPasskey(Exception):
    """The answer is to a challenge of ours, and nobody has this passkey any more."""


def of_user(user: Any) -> list[Passkey]:
    """Return the passkeys of a user, the oldest first."""
    return list(_rows(user).order_by("pk"))


def has_some(user: Any) -> bool:
    """Return whether the user has a passkey."""
    return _rows(user).exists()


def new_browser() -> str:
    """Return a random text that names a browser in the challenges of its sign-ins."""
    return secrets.token_urlsafe(24)


def sign_in_options(request: HttpRequest, browser: str) -> dict[str, Any]:
    """Return what this browser needs to sign in by a passkey. They are the same for everybody, and need no query."""
    party = sessions.relying_party(request)
    challenge = challenges.make(party.keys, challenges.SIGN_IN, browser)
    return ceremonies.request_options(party, challenge, is_verified=True)


def prove_options(request: HttpRequest, user: Any) -> dict[str, Any] | None:
    """Return what the client of this request needs to answer for a user who is known. None: it has no session."""
    bound_to = sessions.factors.bound_to(request)
    if bound_to is None:
        return None
    party = sessions.relying_party(request)
    challenge = challenges.make(party.keys, challenges.PROVE, str(bound_to))
    return ceremonies.request_options(party, challenge, map(_stored, of_user(user)))


def creation_options(request: HttpRequest, user: Any, *, is_quiet: bool = False) -> dict[str, Any]:
    """Return what the client of this request needs to create a passkey for a user. The caller has asked for a proof.

    The session is that of the request, or the one that a pending sign-in opens. ``is_quiet``: the browser creates it
    without asking (conditional mediation). Raise `SessionEnded` if there is neither.
    """
    party = sessions.relying_party(request)
    purpose = challenges.CREATE_QUIETLY if is_quiet else challenges.CREATE
    challenge = challenges.make(party.keys, purpose, *_bound_to(request, user))
    exclude = map(_stored, of_user(user))
    return ceremonies.creation_options(party, challenge, _handle(user), user.get_username(), exclude)


@sensitive_variables()
def create(request: HttpRequest, user: Any, answer: Any, name: str = "") -> Passkey:
    """Create a passkey for a locked user, in the transaction that is open, and record it.

    The caller has asked for a proof. Without a name it gets that of its authenticator. Raise `CreationRefused`,
    `TooMany` and `SessionEnded`.
    """
    if _rows(user).count() >= MOST:
        raise TooMany
    bound_to = _bound_to(request, user)
    party = sessions.relying_party(request)
    try:
        new = ceremonies.read_creation(party, answer)
    except Refused:
        raise CreationRefused from None
    challenge = challenges.read(party.keys, new.challenge, challenges.CREATE, *bound_to) if new.is_present else None
    challenge = challenge or challenges.read(party.keys, new.challenge, challenges.CREATE_QUIETLY, *bound_to)
    now = sessions.now()
    if challenge is None or not _use(challenge, now):
        raise CreationRefused
    row = Passkey(
        user=user,
        credential_id=new.credential_id,
        public_key=new.public_key,
        sign_count=new.sign_count,
        aaguid=new.aaguid,
        name=(name.strip() or authenticators.name_of(new.aaguid) or str(Passkey._meta.verbose_name))[:MAX_NAME],
        transports=" ".join(new.transports),
        can_sync=new.can_sync,
        is_synced=new.is_synced,
        is_discoverable=new.is_discoverable,
        created_at=now,
        created_in=sessions.factors.bound_to(request),
    )
    if not _is_stored(row):
        raise CreationRefused
    sessions.record(request, sessions.Kind.FACTOR_ADDED, user, NAME)
    row.proved = _methods(request, row, is_verified=new.is_verified)
    return row


@sensitive_variables()
def add(request: HttpRequest, answer: Any, name: str = "", *, end_others: bool = False, **proof: Any) -> Passkey:
    """Create a passkey for the user of this request. ``end_others``: end all other sessions too.

    Raise what `create` and `factors.service.changing.change` raise.
    """
    with change(request, **proof) as user:
        row = create(request, user, answer, name)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)
    return row


@sensitive_variables()
def verify(request: HttpRequest | None, user: Any, answer: Any) -> list[str] | None:
    """Return the methods that a passkey of this user proves by this answer, or None. It cannot be used again."""
    bound_to = sessions.factors.bound_to(request)
    if bound_to is None:
        return None
    found = _read(request, answer, challenges.PROVE, str(bound_to))
    if found is None:
        return None
    with sessions.durable():
        return _accept(request, user, *found)


@sensitive_variables()
def sign_in(request: HttpRequest, answer: Any, browser: str, **options: Any) -> Any:
    """Sign in the user whose passkey has signed this answer. ``browser`` is what its challenge is bound to.

    ``options`` are those of `tokens.sessions.sign_in_by`. Raise what that raises, and `UnknownPasskey`.
    """
    found, key = _read(request, answer, challenges.SIGN_IN, browser) if browser else None, None
    if found is not None:
        rows = Passkey._default_manager.using(_alias())
        key = rows.filter(credential_id=found[0].credential_id).values_list("user_id", flat=True).first()

    def is_right(user: Any) -> list[str] | None:
        return None if found is None else _accept(request, user, *found, is_sign_in=True)

    try:
        return sessions.sign_in_by(request, key, is_right, **options)
    except sessions.pending.WrongAnswer:
        if found is not None and key is None:
            raise UnknownPasskey from None
        raise


@sensitive_variables()
def reopen(request: HttpRequest, answer: Any, browser: str) -> bool:
    """Reopen the idle session of this request if a passkey of its user has signed this answer to a sign-in."""
    user = sessions.idle_user(request)
    found = _read(request, answer, challenges.SIGN_IN, browser) if browser and user is not None else None
    if found is None:
        return False
    with sessions.durable():
        methods = _accept(request, user, *found, is_sign_in=True)
    if methods is None:
        return False
    user.authenticated_by = methods
    return sessions.reopen(request, user) is not None


def rename(request: HttpRequest, passkey_id: UUID, name: str, **proof: Any) -> Passkey:
    """Rename a passkey of the user of this request. Raise `NoSuchPasskey`, and what `change_account` raises."""
    with sessions.change_account(request, **proof) as user:
        row = _rows(user).filter(pk=passkey_id).first()
        if row is None:
            raise NoSuchPasskey
        row.name = name.strip()[:MAX_NAME] or row.name
        row.save(using=_alias(), update_fields=["name"])
    return row


def remove(request: HttpRequest, passkey_id: UUID, *, end_others: bool = False, **proof: Any) -> None:
    """Remove a passkey of the user of this request. ``end_others``: end all other sessions too.

    The recovery codes end with the last passkey, unless there is an app. Raise `NoSuchPasskey`, `LastFactor`, and what
    `factors.service.changing.change` raises.
    """
    with change(request, **proof) as user:
        row = _rows(user).filter(pk=passkey_id).first()
        if row is None:
            raise NoSuchPasskey
        others = [other for other in of_user(user) if other.pk != row.pk]
        names = {*sessions.factors.offered(request, user)}
        if not any(other.is_discoverable is not False for other in others) and not names - {
            NAME,
            totp.NAME,
            recovery_codes.NAME,
        }:
            raise totp.LastFactor
        row.delete(using=_alias())
        if not others and totp.NAME not in names:
            recovery_codes.delete(user)
        sessions.record(request, sessions.Kind.FACTOR_REMOVED, user, NAME)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)


def delete(user: Any) -> bool:
    """Delete the passkeys of a user, in the transaction that is open. Return whether there were some."""
    return bool(_rows(user).delete()[0])


def handle_of(user: Any) -> bytes | None:
    """Return the user handle, or None if the user has never created a passkey."""
    row = UserHandle._default_manager.using(router.db_for_write(UserHandle)).filter(user_id=user.pk).first()
    return None if row is None else bytes(row.handle)


def accepted(request: HttpRequest, user: Any) -> dict[str, Any]:
    """Return what a client tells its authenticators about a user's passkeys (WebAuthn Level 3 section 5.1.10)."""
    handle = handle_of(user)
    return {
        "rp_id": sessions.relying_party(request).id,
        "user_handle": None if handle is None else ceremonies.encoded(handle),
        "user_name": user.get_username(),
        "credential_ids": [ceremonies.encoded(bytes(row.credential_id)) for row in of_user(user)],
    }


def _read(request: HttpRequest | None, answer: Any, purpose: str, *bound_to: str) -> tuple[Assertion, Challenge] | None:
    """Return what a passkey has signed, if it is for this site and a challenge of ours. This needs no query."""
    party = sessions.relying_party(request)
    try:
        assertion = ceremonies.read_assertion(party, answer)
    except Refused:
        return None
    challenge = challenges.read(party.keys, assertion.challenge, purpose, *bound_to)
    return None if challenge is None else (assertion, challenge)


def _accept(
    request: HttpRequest | None, user: Any, assertion: Assertion, challenge: Challenge, *, is_sign_in: bool = False
) -> list[str] | None:
    """Return the methods that an assertion proves, in the transaction that is open. None: it is refused.

    A sign-in needs a passkey that has verified its user. A counter that has gone back is recorded, and its challenge is
    used up.
    """
    mine = _rows(user).filter(credential_id=assertion.credential_id)
    row = mine.select_for_update(no_key=True).first()
    if row is None or (is_sign_in and not assertion.is_verified):
        return None
    if not _is_of(user, assertion.user_handle, is_needed=is_sign_in):
        return None
    try:
        assertion.verify(bytes(row.public_key))
    except Refused:
        return None
    now = sessions.now()
    if assertion.can_sync is not row.can_sync or not _use(challenge, now):
        return None
    if (assertion.sign_count or row.sign_count) and assertion.sign_count <= row.sign_count:
        # Two authenticators have the key. Nobody knows which of them this is (section 6.1.1).
        sessions.record(request, sessions.Kind.PASSKEY_COPIED, user, NAME)
        return None
    mine.update(sign_count=assertion.sign_count, is_synced=assertion.is_synced, last_used_at=now)
    return _methods(request, row, is_verified=assertion.is_verified)


def _methods(request: HttpRequest | None, row: Passkey, *, is_verified: bool) -> list[str]:
    is_hardware = sessions.relying_party(request).trusts_device_bound and not row.can_sync
    return ["hwk" if is_hardware else "pop", "user", *(["mfa"] if is_verified else [])]


def _is_of(user: Any, handle: bytes | None, *, is_needed: bool) -> bool:
    if handle is None:
        return not is_needed
    return compare_digest(handle, handle_of(user) or b"")


def _use(challenge: Challenge, now: datetime) -> bool:
    """Store that a challenge was answered. Return False if it was before. Delete a few that are forgotten."""
    rows = UsedChallenge._default_manager.using(router.db_for_write(UsedChallenge))
    old = rows.filter(expires_at__lt=now).order_by("expires_at").select_for_update(skip_locked=True)
    forgotten = list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    if forgotten:
        rows.filter(pk__in=forgotten).delete()
    return _is_stored(UsedChallenge(nonce=challenge.nonce, expires_at=challenge.forgotten_at))


def _is_stored(row: Any) -> bool:
    """Insert a row. Return False if there is one with its key, also if it is stored by a parallel transaction."""
    alias = router.db_for_write(type(row))
    try:
        with transaction.atomic(using=alias):
            row.save(using=alias, force_insert=True)
    except IntegrityError:
        return False
    return True


def _bound_to(request: HttpRequest, user: Any) -> tuple[str, str]:
    session_id = sessions.factors.bound_to(request)
    if session_id is None:
        raise sessions.SessionEnded
    return str(session_id), str(user.pk)


def _handle(user: Any) -> bytes:
    rows = UserHandle._default_manager.using(router.db_for_write(UserHandle))
    row, _ = rows.get_or_create(user_id=user.pk, defaults={"handle": secrets.token_bytes(_HANDLE_BYTES)})
    return bytes(row.handle)


def _stored(row: Passkey) -> Stored:
    return Stored(bytes(row.credential_id), row.transports.split())


def _alias() -> str:
    return router.db_for_write(Passkey)


def _rows(user: Any) -> QuerySet[Passkey]:
    return Passkey._default_manager.using(_alias()).filter(user_id=user.pk)
