"""Pending changes: a new password or a new address that waits until the link in a mail is used.

A change ends with its reasons. Its link is not valid any more if meanwhile

- the user was deactivated, or has another password or another address; another hash of the same password is no change,
- the alarm was raised, or a member of the staff or a command has revoked sessions of the user,
- the session that asked for it has ended. A session that the same person replaced on its device, or that made way for
  a newer one, has not ended in this sense (`tokens.sessions.was_ended_since`).

A sign-in does not end it. Otherwise a thief who knows the password could keep its owner from ever resetting it.

A link works once. A second use raises `UsedLink`, so that a double click can be answered with what the first one did.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from accounts import users
from accounts.links import LIFETIMES, InvalidLink, Link, Purpose, UsedLink, make
from accounts.models import PendingChange
from accounts.service.purging import delete_in_batches
from tokens import sessions

_State = PendingChange.State
_NO_ROW = UUID(int=0)


def add(
    purpose: Purpose,
    user: Any,
    *,
    new_email: str = "",
    session_id: UUID | None = None,
    by_alarm: bool = False,
    discard: bool = False,
) -> str:
    """Record a change of ``user``, and return the token of its link. A user who is not saved stands for nobody.

    ``session_id`` is the session that asks for it, if any. ``by_alarm``: whether the alarm does. If ``discard``, the
    row is deleted at once, because its link is not sent. The statements do not depend on it, so that they do not tell
    who has an account. Call it in a transaction.
    """
    change = PendingChange(
        purpose=purpose,
        user_id=None if user._state.adding else user.pk,
        email=users.address_of(user),
        password_digest=sessions.password_digest(user),
        new_email=new_email,
        session_id=session_id,
        by_alarm=by_alarm,
        created_at=sessions.now(),
    )
    change.save(using=router.db_for_write(PendingChange), force_insert=True)
    _rows().filter(pk=change.pk if discard else _NO_ROW).delete()
    return make(purpose, change.pk)


def look_at(link: Link) -> Any:
    """Return the user of the change. Raise `InvalidLink` or `UsedLink` if it cannot be carried out."""
    change = _find(link)
    return _checked(change, users.find(change.user_id))


@contextmanager
def carry_out(link: Link) -> Iterator[tuple[Any, PendingChange]]:
    """Yield the change and its user, who is locked until the commit. When the block is left, the change is used.

    Raise `InvalidLink` or `UsedLink` if it cannot be carried out. Call it in a transaction. The row of the change is
    locked last, after the sessions that the block ends.
    """
    user = users.lock(_find(link).user_id)
    change = _find(link)
    yield _checked(change, user), change
    if not _rows().filter(pk=change.pk, state=_State.PENDING).update(state=_State.USED):
        raise InvalidLink  # A revocation has cancelled it meanwhile.


def cancel(*keys: Any) -> None:
    """Cancel the pending changes of the users with these primary keys. Call it after their sessions were ended."""
    rows = _rows().filter(user__in=keys, state=_State.PENDING)
    locked = list(rows.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
    _rows().filter(pk__in=locked).update(state=_State.CANCELLED)


def waiting(user: Any) -> list[PendingChange]:
    """Return the changes of the user that a link could carry out now, the latest first.

    The confirmation of the address that the user has is no change, and the link of an earlier alarm is not named.
    """
    address = users.address_of(user).lower()
    rows = _rows().filter(user=user, state=_State.PENDING, by_alarm=False).exclude(new_email=address)
    now = timezone.now()

    def is_waiting(row: PendingChange) -> bool:
        # A difference and no sum: the row's time may have a time zone, in which days have 23 and 25 hours.
        return now - row.created_at < LIFETIMES[Purpose(row.purpose)] and _is_usable(row, user)

    return [row for row in rows.order_by("-created_at") if is_waiting(row)]


def expired() -> Any:
    """Return the changes whose links are too old, as a queryset."""
    too_old = [Q(purpose=purpose, created_at__lte=_end_of_link(Purpose(purpose))) for purpose in PendingChange.Purpose]
    return _rows().filter(reduce(or_, too_old))


def purge() -> Iterator[int]:
    """Delete the changes whose links are too old, and yield how many each batch has deleted."""
    yield from delete_in_batches(expired())


@receiver(sessions.revoked_by_operators)
def _cancel_of_revoked(*, user_ids: set[Any], **kwargs: Any) -> None:
    cancel(*user_ids)


def _end_of_link(purpose: Purpose) -> datetime:
    """Return when the links that expire now were made."""
    return timezone.now() - LIFETIMES[purpose]


def _rows() -> Any:
    return PendingChange.objects.using(router.db_for_write(PendingChange))


def _find(link: Link) -> PendingChange:
    try:
        change: PendingChange | None = _rows().filter(purpose=link.purpose, pk=link.key).first()
    except (ValidationError, ValueError):
        raise InvalidLink from None  # A link of an earlier release names a user instead.
    if change is None:
        raise InvalidLink
    if change.state == _State.USED:
        raise UsedLink(link.purpose)
    return change


def _checked(change: PendingChange, user: Any) -> Any:
    if user is None or change.state != _State.PENDING or not _is_usable(change, user):
        raise InvalidLink
    return user


def _is_usable(change: PendingChange, user: Any) -> bool:
    return (
        user.is_active
        and users.address_of(user) == change.email
        and sessions.is_same_password(bytes(change.password_digest), user)
        and (change.session_id is None or not sessions.was_ended_since(change.session_id, change.created_at))
    )
