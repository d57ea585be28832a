"""Assertions: verifies what a passkey has signed as the answer to a challenge of ours, and returns what it proves.

A challenge is answered once: its nonce is stored in the transaction that accepts the answer.
"""

from datetime import datetime
from hmac import compare_digest
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from factors import ceremonies, challenges
from factors.ceremonies import Assertion, Refused
from factors.challenges import Challenge
from factors.models import Passkey, UsedChallenge, UserHandle
from tokens import sessions

NAME = "passkey"
_FORGOTTEN_AT_ONCE = 20
"""Used challenges that are deleted when one is stored."""


def rows_of(user: Any) -> QuerySet[Passkey]:
    """Return the passkeys of a user, in the database that takes writes."""
    return Passkey._default_manager.using(router.db_for_write(Passkey)).filter(user_id=user.pk)


def handle_of(user: Any) -> bytes | None:
    """Return the user handle, or None if the user has never created a passkey."""
    row = UserHandle._default_manager.using(router.db_for_write(UserHandle)).filter(user_id=user.pk).first()
    return None if row is None else bytes(row.handle)


def read(request: HttpRequest | None, answer: Any, purpose: str, *bound_to: str) -> tuple[Assertion, Challenge] | None:
    """Return what a passkey has signed, if it is for this site and a challenge of ours. This needs no query."""
    party = sessions.relying_party(request)
    try:
        assertion = ceremonies.read_assertion(party, answer)
    except Refused:
        return None
    challenge = challenges.read(party.keys, assertion.challenge, purpose, *bound_to)
    return None if challenge is None else (assertion, challenge)


def accept(
    request: HttpRequest | None, user: Any, assertion: Assertion, challenge: Challenge, *, is_sign_in: bool = False
) -> list[str] | None:
    """Return the methods that an assertion proves, in the transaction that is open. None: it is refused.

    A sign-in needs a passkey that has verified its user. A counter that has gone back is recorded, and its challenge is
    used up.
    """
    mine = rows_of(user).filter(credential_id=assertion.credential_id)
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
    if assertion.can_sync is not row.can_sync or not use(challenge, now):
        return None
    if (assertion.sign_count or row.sign_count) and assertion.sign_count <= row.sign_count:
        # Two authenticators have the key. Nobody can tell which of the two has signed (section 6.1.1).
        sessions.record(request, sessions.Kind.PASSKEY_COPIED, user, f"{NAME}: {row.name}")
        return None
    mine.update(sign_count=assertion.sign_count, is_synced=assertion.is_synced, last_used_at=now)
    return methods_of(request, row, is_verified=assertion.is_verified)


def methods_of(request: HttpRequest | None, row: Passkey, *, is_verified: bool) -> list[str]:
    """Return the authentication methods that a use of this passkey proves."""
    is_hardware = sessions.relying_party(request).trusts_device_bound and not row.can_sync
    return ["hwk" if is_hardware else "pop", "user", *(["mfa"] if is_verified else [])]


def _is_of(user: Any, handle: bytes | None, *, is_needed: bool) -> bool:
    if handle is None:
        return not is_needed
    return compare_digest(handle, handle_of(user) or b"")


def use(challenge: Challenge, now: datetime) -> bool:
    """Store that a challenge was answered. Return False if it was before. Delete a few that are forgotten."""
    rows = UsedChallenge._default_manager.using(router.db_for_write(UsedChallenge))
    old = rows.filter(expires_at__lt=now).order_by("expires_at").select_for_update(skip_locked=True)
    forgotten = list(old.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
    if forgotten:
        rows.filter(pk__in=forgotten).delete()
    return is_stored(UsedChallenge(nonce=challenge.nonce, expires_at=challenge.forgotten_at))


def is_stored(row: Any) -> bool:
    """Insert a row. Return False if there is one with its key, also if it is stored by a parallel transaction."""
    alias = router.db_for_write(type(row))
    try:
        with transaction.atomic(using=alias):
            row.save(using=alias, force_insert=True)
    except IntegrityError:
        return False
    return True
