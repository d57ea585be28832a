"""Recovery codes: each gets a user in once who has lost the authenticator app. A new set ends the old one."""

from typing import Any

from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from factors import codes
from factors.models import RecoveryCode
from factors.service.change_permission import change
from tokens import sessions

NAME = "recovery_code"
REPLACED = "replaced"
"""The note of an event about a set that has ended another one. The mail about it says so."""


def left(user: Any) -> int:
    """Return how many codes of the user are not used yet."""
    return _rows(user).filter(used_at=None).count()


def has_some(user: Any) -> bool:
    """Return whether the user has a set of codes, used or not."""
    return _rows(user).exists()


def delete(user: Any) -> bool:
    """Delete the codes of a user, in the transaction that is open. Return whether one could have been used."""
    has_some = left(user) > 0
    _rows(user).delete()
    return has_some


@sensitive_variables()
def issue(user: Any) -> list[str]:
    """Replace the codes of a user, in the transaction that is open. Return the new ones, which cannot be read again."""
    delete(user)
    made, now = codes.new_recovery_codes(), sessions.now()
    rows = [RecoveryCode(user=user, digest=codes.recovery_digest(code), created_at=now) for code in made]
    RecoveryCode._default_manager.using(_alias()).bulk_create(rows)
    return made


@sensitive_variables()
def replace(request: HttpRequest, *, end_others: bool = False, **proof: Any) -> list[str]:
    """Give the user of this request a new set of codes. ``end_others``: end all other sessions too.

    Raise what `factors.service.change_permission.change` raises.
    """
    with change(request, **proof) as user:
        is_further = left(user) > 0
        if is_further:
            sessions.end_device_trust(user)
        made = issue(user)
        sessions.record(request, sessions.Kind.FACTOR_ADDED, user, f"{NAME}: {REPLACED}" if is_further else NAME)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)
    return made


@sensitive_variables()
def verify(request: HttpRequest | None, user: Any, answer: Any) -> bool:
    """Return whether this is a code of the user that was not used yet. It cannot be used again, and is recorded.

    Of parallel uses of one code one succeeds: the row is changed only if it is not used yet.
    """
    digest = codes.recovery_digest(answer)
    if digest is None:
        return False
    with sessions.durable():
        if not _rows(user).filter(digest=digest, used_at=None).update(used_at=sessions.now()):
            return False
        sessions.record(request, sessions.Kind.RECOVERY_CODE_USED, user)
    return True


def _alias() -> str:
    return router.db_for_write(RecoveryCode)


def _rows(user: Any) -> QuerySet[RecoveryCode]:
    return RecoveryCode._default_manager.using(_alias()).filter(user_id=user.pk)
