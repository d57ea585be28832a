"""Passkeys: created, used to sign in and to answer for a user who is known, renamed, removed.

What answers for a user who is known locks only the row of its passkey. A sign-in locks the user first
(`tokens.web.operations.one_factor`).
"""

import secrets
from typing import Any
from uuid import UUID

from django.db import router
from django.http import HttpRequest
from django.utils.text import capfirst
from django.views.decorators.debug import sensitive_variables

from factors import authenticators, ceremonies, challenges
from factors.ceremonies import Refused, Stored
from factors.models import Passkey, UserHandle
from factors.service import recovery_codes, totp
from factors.service.assertions import NAME as NAME
from factors.service.assertions import accept, is_stored, methods_of, read, rows_of, use
from factors.service.assertions import handle_of as handle_of
from factors.service.change_permission import change
from factors.service.sign_in_ways import require_another
from tokens import sessions

ENROLMENT = "enrol_passkey"
"""The name of the factor that creates one at a sign-in (`factors.enrolment`)."""
MOST = 50
"""Passkeys of one account. Their ids are all in the answer to a request for options."""
MAX_NAME = 100
_HANDLE_BYTES = 64
_A_PASSKEY = Passkey._meta.verbose_name


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
    return list(rows_of(user).order_by("pk"))


def has_some(user: Any) -> bool:
    """Return whether the user has a passkey."""
    return rows_of(user).exists()


def are_on() -> bool:
    """Return whether this site has passkeys: FACTORS names them. Otherwise they sign nobody in, and none is created."""
    return sessions.factors.is_known(NAME)


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
    exclude, name = map(_stored, of_user(user)), str(user.get_username())
    return ceremonies.creation_options(party, challenge, _handle(user), name, exclude)


@sensitive_variables()
def create(request: HttpRequest, user: Any, answer: Any, name: str = "") -> Passkey:
    """Create a passkey for a locked user, in the transaction that is open, and record it.

    The caller has asked for a proof. Without a name it gets that of its authenticator. Raise `CreationRefused`,
    `TooMany` and `SessionEnded`.
    """
    if rows_of(user).count() >= MOST:
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
    if challenge is None or not use(challenge, now):
        raise CreationRefused
    row = Passkey(
        user=user,
        credential_id=new.credential_id,
        public_key=new.public_key,
        sign_count=new.sign_count,
        aaguid=new.aaguid,
        name=(name.strip() or authenticators.name_of(new.aaguid) or capfirst(str(_A_PASSKEY)))[:MAX_NAME],
        transports=" ".join(new.transports),
        can_sync=new.can_sync,
        is_synced=new.is_synced,
        is_discoverable=new.is_discoverable,
        created_at=now,
        created_in=sessions.factors.bound_to(request),
    )
    if not is_stored(row):
        raise CreationRefused
    sessions.record(request, sessions.Kind.FACTOR_ADDED, user, NAME)
    row.proved = methods_of(request, row, is_verified=new.is_verified)
    return row


@sensitive_variables()
def add(request: HttpRequest, answer: Any, name: str = "", *, end_others: bool = False, **proof: Any) -> Passkey:
    """Create a passkey for the user of this request. ``end_others``: end all other sessions too.

    Raise what `create` and `factors.service.change_permission.change` raise.
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
    found = read(request, answer, challenges.PROVE, str(bound_to))
    if found is None:
        return None
    with sessions.durable():
        return accept(request, user, *found)


@sensitive_variables()
def sign_in(request: HttpRequest, answer: Any, browser: str, **options: Any) -> Any:
    """Sign in the user whose passkey has signed this answer. ``browser`` is what its challenge is bound to.

    ``options`` are those of `tokens.sessions.sign_in_by`. Raise what that raises, and `UnknownPasskey`.
    """
    found, key = read(request, answer, challenges.SIGN_IN, browser) if browser else None, None
    if found is not None:
        rows = Passkey._default_manager.using(router.db_for_write(Passkey))
        key = rows.filter(credential_id=found[0].credential_id).values_list("user_id", flat=True).first()

    def is_right(user: Any) -> list[str] | None:
        return None if found is None else accept(request, user, *found, is_sign_in=True)

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
    found = read(request, answer, challenges.SIGN_IN, browser) if browser and user is not None else None
    if found is None:
        return False
    with sessions.durable():
        methods = accept(request, user, *found, is_sign_in=True)
    if methods is None:
        return False
    user.authenticated_by = methods
    return sessions.reopen(request, user) is not None


def rename(request: HttpRequest, passkey_id: UUID, name: str, **proof: Any) -> Passkey:
    """Rename a passkey of the user of this request. Raise `NoSuchPasskey`, and what `change_account` raises."""
    with sessions.change_account(request, **proof) as user:
        row = rows_of(user).filter(pk=passkey_id).first()
        if row is None:
            raise NoSuchPasskey
        row.name = name.strip()[:MAX_NAME] or row.name
        row.save(using=router.db_for_write(Passkey), update_fields=["name"])
    return row


def remove(request: HttpRequest, passkey_id: UUID, *, end_others: bool = False, **proof: Any) -> None:
    """Remove a passkey of the user of this request. ``end_others``: end all other sessions too.

    The recovery codes end with the last passkey, unless there is an app. Raise `NoSuchPasskey`, `LastFactor`, and what
    `factors.service.change_permission.change` raises.
    """
    with change(request, **proof) as user:
        row = rows_of(user).filter(pk=passkey_id).first()
        if row is None:
            raise NoSuchPasskey
        require_another(request, user, without=row.pk)
        row.delete(using=router.db_for_write(Passkey))
        if not has_some(user) and totp.of_user(user) is None:
            recovery_codes.delete(user)
        sessions.record(request, sessions.Kind.FACTOR_REMOVED, user, NAME)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)


def delete(user: Any) -> bool:
    """Delete the passkeys of a user, in the transaction that is open. Return whether there were some."""
    return bool(rows_of(user).delete()[0])


def accepted(request: HttpRequest, user: Any) -> dict[str, Any]:
    """Return what a client tells its authenticators about a user's passkeys (WebAuthn Level 3 section 5.1.10)."""
    handle = handle_of(user)
    return {
        "rp_id": sessions.relying_party(request).id,
        "user_handle": None if handle is None else ceremonies.encoded(handle),
        "user_name": str(user.get_username()),
        "credential_ids": [ceremonies.encoded(bytes(row.credential_id)) for row in of_user(user)],
    }


def _bound_to(request: HttpRequest, user: Any) -> tuple[str, str]:
    session_id = sessions.factors.bound_to(request)
    if session_id is None:
        raise sessions.SessionEnded
    return str(session_id), str(user.pk)


def row_of_handle(user: Any) -> UserHandle:
    """Return the row of a user's handle. If there is none, it is made."""
    rows = UserHandle._default_manager.using(router.db_for_write(UserHandle))
    return rows.get_or_create(user_id=user.pk, defaults={"handle": secrets.token_bytes(_HANDLE_BYTES)})[0]


def _handle(user: Any) -> bytes:
    return bytes(row_of_handle(user).handle)


def _stored(row: Passkey) -> Stored:
    return Stored(bytes(row.credential_id), row.transports.split())
