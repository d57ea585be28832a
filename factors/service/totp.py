"""Authenticator apps: set up with a QR code and one code, used for each sign-in, and removed.

An app that is set up while there is another one replaces it when it is confirmed, and not before.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from factors import codes
from factors.encryption import Unreadable, current_key_id
from factors.models import Totp
from factors.service import recovery_codes
from factors.service.change_permission import change
from factors.service.sign_in_ways import LastFactor as LastFactor
from factors.service.sign_in_ways import require_another
from tokens import sessions

NAME = "totp"
PENDING_FOR = timedelta(hours=1)
"""How long an app can be confirmed after its secret was made."""

logger = logging.getLogger("factors")


class WrongCode(Exception):
    """The code does not confirm the app."""


class NothingPending(Exception):
    """No app is being set up, or it was begun too long ago."""


class NotSetUp(Exception):
    """The user has no authenticator app."""


class Enrolment(NamedTuple):
    """What an authenticator app needs, once as a text to type, and once as a URI for a QR code."""

    secret: str
    uri: str


def of_user(user: Any) -> Totp | None:
    """Return the confirmed app of a user, or None."""
    return _rows(user).filter(confirmed_at__isnull=False).first()


@sensitive_variables()
def begin(request: HttpRequest, **proof: Any) -> Enrolment:
    """Make a secret for the user of this request. It counts when `confirm` has got a code of it.

    Raise what `factors.service.change_permission.change` raises.
    """
    with change(request, **proof) as user:
        return _begin(user)


@sensitive_variables()
def begin_at_sign_in(user: Any, session_id: UUID) -> Enrolment:
    """Make a secret for a user without an app, whose pending sign-in is to open this session. Return it again if it is
    there.

    It is bound to that sign-in. Otherwise somebody who knows the password could learn the secret of the user.
    """
    with sessions.durable():
        type(user)._base_manager.using(_alias()).select_for_update(no_key=True).get(pk=user.pk)
        try:
            return _enrolment(_pending(user, session_id)[1], user)
        except NothingPending:
            return _begin(user, session_id)


@sensitive_variables()
def confirm_at_sign_in(request: HttpRequest, user: Any, session_id: UUID, code: Any) -> bool:
    """Let the app count that `begin_at_sign_in` has begun, if this is a code of it. Return whether it is.

    The user is locked, in the transaction that is open, and has no app.
    """
    try:
        row, secret = _pending(user, session_id)
    except NothingPending:
        return False
    step = codes.matching_step(secret, code, sessions.now(), row.last_step)
    if step is None:
        return False
    _rows(user).filter(pk=row.pk).update(confirmed_at=sessions.now(), last_step=step)
    sessions.record(request, sessions.Kind.FACTOR_ADDED, user, NAME)
    return True


@sensitive_variables()
def pending(request: HttpRequest, **proof: Any) -> Enrolment:
    """Return the secret that waits for its confirmation. Raise `NothingPending`, and what `change` raises."""
    with change(request, **proof) as user:
        return _enrolment(_pending(user)[1], user)


@sensitive_variables()
def confirm(request: HttpRequest, code: Any, *, end_others: bool = False, **proof: Any) -> list[str]:
    """Let the app that is being set up count, in the place of an earlier one. Return new recovery codes.

    There are none if the user has some left. ``end_others``: end all other sessions too. Raise `WrongCode`,
    `NothingPending`, and what `change` raises.
    """
    with change(request, **proof) as user:
        (row, secret), now = _pending(user), sessions.now()
        step = codes.matching_step(secret, code, now, row.last_step)
        if step is None:
            raise WrongCode
        replaced, _ = _rows(user).filter(confirmed_at__isnull=False).delete()
        if replaced:
            sessions.end_device_trust(user)
        _rows(user).filter(pk=row.pk).update(
            confirmed_at=now, last_step=step, confirmed_in=sessions.current_id(request)
        )
        sessions.record(request, sessions.Kind.FACTOR_ADDED, user, NAME)
        made = [] if recovery_codes.left(user) else recovery_codes.issue(user)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)
    return made


def remove(request: HttpRequest, *, end_others: bool = False, **proof: Any) -> None:
    """Remove the app of the user of this request, with the recovery codes. ``end_others``: see `confirm`.

    Raise `NotSetUp`, `LastFactor`, and what `change` raises.
    """
    with change(request, **proof) as user:
        if of_user(user) is None:
            raise NotSetUp
        require_another(request, user)
        delete(user)
        recovery_codes.delete(user)
        sessions.record(request, sessions.Kind.FACTOR_REMOVED, user, NAME)
        if end_others:
            sessions.sign_out_elsewhere(request, **proof)


def delete(user: Any) -> bool:
    """Delete the app of a user, also one that is being set up, in the transaction that is open.

    Return whether one was confirmed.
    """
    has_one = of_user(user) is not None
    _rows(user).delete()
    return has_one


@sensitive_variables()
def verify(user: Any, answer: Any) -> bool:
    """Return whether this is a code of the user's app that was not used yet. It cannot be used again.

    Of parallel uses of one code one succeeds: the row is changed only if it still has an earlier step.
    """
    row = of_user(user)
    if row is None:
        return False
    try:
        secret = row.decrypt()
    except Unreadable as error:
        logger.error("the secret of an authenticator app cannot be read: totp=%s: %s", row.pk, error)
        return False
    with sessions.durable():
        step = codes.matching_step(secret, answer, sessions.now(), row.last_step)
        if step is None:
            return False
        values: dict[str, Any] = {"last_step": step}
        if bytes(row.key_id) != current_key_id():
            row.encrypt(secret)
            values |= {"key_id": row.key_id, "secret": row.secret}
        still = _rows(user).filter(pk=row.pk, confirmed_at__isnull=False, last_step__lt=step)
        return still.update(**values) == 1


def under_older_keys() -> QuerySet[Totp]:
    """Return the apps whose secrets are not encrypted under the current key."""
    return Totp._default_manager.using(_alias()).exclude(key_id=current_key_id())


def encrypt_again(*, dry_run: bool = False) -> Iterator[bool]:
    """Encrypt each secret under the current key that is encrypted under another. Yield whether it could be read.

    ``dry_run``: only read it.
    """
    rows = Totp._default_manager.using(_alias())
    for row in under_older_keys().order_by("pk").iterator():
        old = bytes(row.secret)
        try:
            row.encrypt(row.decrypt())
        except Unreadable as error:
            logger.error("the secret of an authenticator app cannot be read: totp=%s: %s", row.pk, error)
            yield False
        else:
            if not dry_run:
                # A sign-in may have done it meanwhile.
                rows.filter(pk=row.pk, secret=old).update(key_id=row.key_id, secret=row.secret)
            yield True


def _begin(user: Any, session_id: UUID | None = None) -> Enrolment:
    _rows(user).filter(confirmed_at=None).delete()
    secret, row = codes.new_secret(), Totp(user=user, created_at=sessions.now(), confirmed_in=session_id)
    row.encrypt(secret)
    row.save(using=_alias(), force_insert=True)
    return _enrolment(secret, user)


def _pending(user: Any, session_id: UUID | None = None) -> tuple[Totp, str]:
    """Return the app that waits, with its secret. ``session_id`` is that of a sign-in, or None."""
    rows = _rows(user).filter(confirmed_at=None, created_at__gt=sessions.now() - PENDING_FOR)
    row = rows.filter(confirmed_in=session_id).first()
    if row is None:
        raise NothingPending
    try:
        return row, row.decrypt()
    except Unreadable:
        raise NothingPending from None  # The person begins again, with the current key.


def _enrolment(secret: str, user: Any) -> Enrolment:
    issuer = urlsplit(settings.ORIGIN).hostname or settings.ORIGIN
    return Enrolment(secret, codes.uri(secret, user.get_username(), issuer))


def _alias() -> str:
    return router.db_for_write(Totp)


def _rows(user: Any) -> QuerySet[Totp]:
    return Totp._default_manager.using(_alias()).filter(user_id=user.pk)
