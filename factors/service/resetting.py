"""Staff resets the factors of a user who has lost all of them, and cannot sign in any more.

A reset removes all factors, ends all sessions, and forgets all devices. The owner gets a mail with the reason. It needs
the permission `PERMISSION`, and a recent sign-in by the strongest method that the member of the staff has. Nobody
resets their own. A superuser's wait for another superuser, who is neither the owner nor the one who has asked.

Everything is decided on the rows as they are under lock: the permission of each person, and whether the owner is a
superuser. Of two confirmations at the same time the second finds no row any more.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest

from factors.models import MAX_REASON, FactorReset
from factors.service import passkeys, recovery_codes, removal, totp
from factors.service.change_permission import missing
from tokens import sessions

PERMISSION = "factors.reset_factors"
WAITS_FOR = timedelta(hours=24)
"""How long a reset waits for its confirmation."""
NOTE = "factors reset"
"""It is added to the reason in the security events of the sessions that end."""


class ResetRefused(Exception):
    """This person may not do it."""


class NothingThere(Exception):
    """There is no such user, or no such reset that waits."""


def waiting() -> QuerySet[FactorReset]:
    """Return the resets that wait for a confirmation, the latest first."""
    rows = _rows().filter(created_at__gt=sessions.now() - WAITS_FOR)
    return rows.select_related("user", "requested_by").order_by("-created_at")


def is_superuser(user: Any) -> bool:
    """Return whether the user is a superuser. A user model may have no such field."""
    return bool(getattr(user, "is_superuser", False))


def reset(request: HttpRequest, key: Any, reason: str, **proof: Any) -> FactorReset | None:
    """Reset the factors of the user with this primary key. Return the row that waits if the user is a superuser.

    An earlier one that the same person has asked for ends.

    Raise `ResetRefused`, `NothingThere`, `StrongerRequired` if the sign-in is not recent enough, and what
    `tokens.sessions.change_accounts` raises with this ``proof``.
    """
    with sessions.change_accounts(request, key, **proof) as (actor, user):
        _check(request, actor, **proof)
        if user is None:
            raise NothingThere
        if user.pk == actor.pk:
            raise ResetRefused
        _delete_expired()
        if not is_superuser(user):
            _carry_out(request, user, reason, by=actor)
            return None
        _rows().filter(user_id=user.pk, requested_by_id=actor.pk).delete()
        row = FactorReset(user=user, requested_by=actor, reason=reason[:MAX_REASON], created_at=sessions.now())
        row.save(using=_alias(), force_insert=True)
        return row


def confirm(request: HttpRequest, row_id: UUID, **proof: Any) -> Any:
    """Carry out a reset that waits. Return its user. Raise what `reset` raises."""
    keys = _rows().filter(pk=row_id).values_list("user", "requested_by").first()
    if keys is None:
        raise NothingThere
    with sessions.change_accounts(request, *keys, **proof) as (actor, user, requester):
        _check(request, actor, **proof)
        _delete_expired()
        row = _rows().select_for_update().filter(pk=row_id).first()
        if row is None or user is None:
            raise NothingThere
        if not is_superuser(actor) or actor.pk in keys or not may_reset(requester):
            raise ResetRefused
        _carry_out(request, user, f"{row.reason} (asked for by {requester.pk})", by=actor)
    return user


def decline(request: HttpRequest, row_id: UUID) -> None:
    """Delete a reset that waits. Raise `ResetRefused` unless the user of the request is a superuser."""
    with sessions.change_account(request) as actor:
        if not is_superuser(actor):
            raise ResetRefused
        _rows().filter(pk=row_id).delete()


def reset_by_command(user: Any, reason: str) -> None:
    """Reset the factors of any user, for an operator with a shell."""
    model: Any = get_user_model()
    with sessions.durable():
        locked = model._base_manager.using(router.db_for_write(model)).select_for_update(no_key=True).get(pk=user.pk)
        _carry_out(None, locked, reason)


def what_is_reset(user: Any) -> dict[str, int]:
    """Return how much of each kind a reset would remove or end."""
    return {
        "authenticator app": int(totp.of_user(user) is not None),
        "passkey": len(passkeys.of_user(user)),
        "recovery code": recovery_codes.left(user),
        "session": len(sessions.live_sessions(user)),
    }


def may_reset(user: Any) -> bool:
    """Return whether this person is one of the staff, and has the permission."""
    if user is None or not user.is_active or not getattr(user, "is_staff", True):
        return False
    return bool(user.has_perm(PERMISSION))


def _check(request: HttpRequest, actor: Any, **proof: Any) -> None:
    if not may_reset(actor):
        raise ResetRefused
    known = proof.get("authenticated")
    lacking = missing(request, actor, authenticated=known)
    if not lacking and known is None and not sessions.is_recent(request):
        lacking = sessions.factors.of_user(actor)
    if lacking:
        raise sessions.factors.StrongerRequired(lacking)


def _carry_out(request: HttpRequest | None, user: Any, reason: str, by: Any = None) -> None:
    ended = sessions.Reason.ENDED_BY_COMMAND if by is None else sessions.Reason.ENDED_BY_STAFF
    sessions.revoke_all(request, user, ended, NOTE, by=by)
    removal.delete_all(user)
    _rows().filter(user_id=user.pk).delete()
    sessions.record(request, sessions.Kind.FACTORS_RESET, user, reason, by=by)


def _delete_expired() -> None:
    _rows().filter(created_at__lte=sessions.now() - WAITS_FOR).delete()


def _alias() -> str:
    return router.db_for_write(FactorReset)


def _rows() -> QuerySet[FactorReset]:
    return FactorReset._default_manager.using(_alias())
