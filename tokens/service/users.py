"""The user's row as it is now, under a lock.

Whatever opens a session, keeps it, or changes an account calls one of these functions first, in the transaction that
commits the change. The lock is FOR NO KEY UPDATE: it conflicts with an update of the password hash and with a deletion,
but not with the key shares that inserted rows take (PostgreSQL, “Explicit Locking”). So that two transactions cannot
deadlock, all of them lock in this order, and rows of one kind in the order of their keys: users, devices, sessions
that are no impersonation, impersonations (`tokens.models.RefreshTokenQuerySet.locked`).

On SQLite a writing transaction excludes all others, and there is nothing to lock.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Manager, Q

from tokens.database.statements import Read
from tokens.models import Device, RefreshToken
from tokens.service import auth_hash
from tokens.service.user_rules import may_act


class UserChanged(Exception):
    """Since the user authenticated, they were deleted or deactivated, or their password was changed."""


class SessionEnded(Exception):
    """The session of a request has ended since its access token was issued. Nothing was changed."""


def lock(alias: str, key: Any) -> Any:
    """Return the user with this primary key, locked until the commit, or None."""
    is_plain = type(get_user_model()._base_manager) is Manager
    return next(iter(_locked(alias, pk=key) if is_plain else _rows_to_lock(alias, key)), None)


def _rows_to_lock(alias: str, pk: Any) -> Any:
    return get_user_model()._base_manager.using(alias).select_for_update(no_key=True).filter(pk=pk)


_locked = Read(_rows_to_lock)


def lock_users(alias: str, *keys: Any) -> list[Any]:
    """Lock the users with these primary keys, and return them in this order, with None for those that do not exist.

    They are locked in the order of their keys, so that two transactions that lock the same users cannot deadlock.
    """
    rows = get_user_model()._base_manager.using(alias).select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    found = {row.pk: row for row in rows}
    return [found.get(key) for key in keys]


def lock_devices(alias: str, *keys: Any) -> None:
    """Lock the devices of the users with these primary keys until the commit, in the order of their ids."""
    rows = Device.objects.using(alias).filter(user__in=keys).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))


def lock_sessions(alias: str, key: Any) -> list[RefreshToken]:
    """Return the sessions of the user with this primary key that have not ended, as `for_decision` does, locked.

    The locks are held until the commit.

    The impersonations by the user are locked too, because they end with the user's sessions. The user's row must be
    locked already, so that no further impersonation begins.
    """
    rows = RefreshToken.objects.for_decision().using(alias).unended().filter(Q(user=key) | Q(actor=key))
    return [row for row in rows.locked() if row.actor_id != key]


def lock_authenticated(alias: str, user: Any) -> Any:
    """Return the row of a user who has authenticated, locked until the commit.

    Raise `UserChanged` if the user was deleted, is not active, or does not have the password any more that ``user``
    was loaded with. Another hash of the same password is not a change.
    """
    row = lock(alias, user.pk)
    if (
        row is None
        or not may_act(row, getattr(user, "backend", ""))
        or not auth_hash.is_same_password(auth_hash.digest_of(user), row)
    ):
        raise UserChanged
    return row


def lock_signed_in(alias: str, key: Any, session_id: UUID) -> tuple[Any, RefreshToken]:
    """Return the user of a live session, and the session. All their devices and live sessions are locked as well.

    The locks are held until the commit.

    Raise `SessionEnded` if the session has ended, or its user is not active or has another password. An access token
    proves none of this: it outlives its session until this process has read the revocation feed.
    """
    user = lock(alias, key)
    lock_devices(alias, key)
    session = next((row for row in lock_sessions(alias, key) if row.id == session_id), None)
    if user is None or session is None or not may_act(user, session.backend):
        raise SessionEnded
    if auth_hash.renewed_digest(session, user) is None:
        raise SessionEnded
    return user, session
