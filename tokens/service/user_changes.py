"""What ends when a user is changed: all sessions of a deactivated user, and the other sessions after a new password.

The first functions are called by what changes the account, in the transaction that commits the change. After that
devices are not trusted any more: their user is asked for a second factor again (`tokens.service.trust`).

Anything can change a user: a page, the admin, a command, another package, or SQL. A trigger notes each change of the
password hash and each deactivation (`tokens.service.triggers`), and every process reads the notes with the revocation
feed. Which sessions end is decided here, from the rows as they are. So a session that already holds the digest of the
new password stays live, and several processes can decide about the same change.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.dispatch import receiver

from tokens.conf import token_settings
from tokens.database.expressions import Ago, DatabaseNow
from tokens.database.transactions import bounded, clock, durable, writer
from tokens.models import Device, RefreshToken, Rehash, Revocation, SecurityEvent
from tokens.service import auth_hash, devices, events, opening, queries, triggers, trust, users
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import end_everything_granted_to, revoke, revoke_all
from tokens.service.revocation_feed import users_changed
from tokens.service.user_rules import may_act

_Reason = RefreshToken.Reason


def end_others(user: Any, session_id: UUID | None, reason: RefreshToken.Reason, client: Client) -> bool:
    """End all sessions of the user except this one, which stays valid with the user's new password.

    The user's other devices are forgotten. Impersonations by the user end, and everything that other packages have
    granted to the user. Return False if this session has ended. Then nothing ends but the trust in the user's devices.
    """
    trust.end(user=user.pk)
    alias = writer(RefreshToken)
    other_devices = devices.lock_others(user, client, session_id)
    if session_id not in {row.id for row in users.lock_sessions(alias, user.pk)}:
        return False
    RefreshToken.objects.using(alias).filter(id=session_id).update(auth_hash_digest=auth_hash.digest_of(user))
    devices.forget(other_devices)
    revoke_all(queries.live_sessions(user).exclude(id=session_id), reason, client=client)
    revoke_all(RefreshToken.objects.live().filter(actor=user), _Reason.ACTOR_ENDED, client=client)
    end_everything_granted_to(user)
    return True


def end_all(user: Any, reason: RefreshToken.Reason, client: Client, note: str = "", *, by: Any = None) -> None:
    """End all sessions of the user, and everything that other packages have granted to the user.

    The user's devices are forgotten, except the one of ``client`` if the user has done it. ``by`` is the member of the
    staff who has done it, if any. ``note`` is added to the reason in the security events.
    """
    trust.end(user=user.pk)
    devices.forget_others(user, client if by is None else Client())
    revoke_all(queries.live_sessions(user), reason, user=user, by=by, client=client, note=note)
    end_everything_granted_to(user)


def end_elsewhere(user: Any, session_id: UUID, client: Client) -> None:
    """End the user's sessions except this one, and forget the user's other devices. The password stays."""
    trust.end(user=user.pk)
    devices.forget_others(user, client, session_id)
    revoke_all(queries.live_sessions(user).exclude(id=session_id), _Reason.ENDED_BY_USER, user=user, client=client)


def end_one(user: Any, session_id: UUID, client: Client) -> None:
    """End one of the user's sessions, and the trust in its device."""
    trust.end(user=user.pk, refresh_tokens__id=session_id)
    revoke(RefreshToken.objects.filter(id=session_id), _Reason.ENDED_BY_USER, client=client)


def end_deactivated(user: Any) -> None:
    """End the sessions of a user who was saved as inactive."""
    trust.end(user=user.pk)
    revoke_all(_unended(user), _Reason.USER_DISABLED)


def note_change(user: Any) -> None:
    """Note that the user was changed, where no trigger of the database does (`tokens.service.triggers`)."""
    alias = writer(RefreshToken)
    if not triggers.are_installed(alias):
        Revocation.objects.using(alias).create(user_key=str(user.pk), created_at=clock(alias))


def end_deleted(user: Any) -> None:
    """End the sessions of a user who is about to be deleted, and delete their rows.

    Lock the user first, as everyone does. Django has collected the rows that it deletes before. A sign-in may have
    added some since.
    """
    alias = writer(RefreshToken)
    users.lock(alias, user.pk)
    users.lock_devices(alias, user.pk)
    revoke_all(_unended(user), _Reason.USER_DELETED)
    SecurityEvent.objects.using(alias).filter(user=user.pk).update(user=None)
    SecurityEvent.objects.using(alias).filter(actor=user.pk).update(actor=None)
    impersonations: Any = RefreshToken.objects.using(alias).filter(actor=user.pk)
    impersonations._raw_delete(alias)
    for model in (RefreshToken, Device, Rehash):
        rows: Any = model._default_manager.using(alias).filter(user=user.pk)
        rows._raw_delete(alias)


@receiver(users_changed)
def end_outdated(subjects: Iterable[str], **kwargs: Any) -> list[UUID]:
    """End the sessions of these users that are not valid any more. ``subjects`` are primary keys, as text.

    Return the sessions that were ended, here or by another process, so long ago that access tokens may be valid.
    """
    alias = writer(RefreshToken)
    recently = Q(revoked_at__gt=Ago(token_settings().access_lifetime))
    rows: Any = RefreshToken.objects.using(alias).filter(Q(revoked_at=None) | recently, expires_at__gt=DatabaseNow())
    with bounded(alias):
        found = list(rows.filter(user__in=subjects).select_related("user"))
    ended = [row.id for row in found if row.revoked_at is not None]
    # Most changes end no session. Only the users of those that do are locked, each in a transaction of its own.
    for user_id in dict.fromkeys(row.user_id for row in found if row.revoked_at is None and _outdated(row, row.user)):
        with bounded(alias), durable(alias):
            user = users.lock(alias, user_id)
            if user is not None:
                ended += _end(users.lock_sessions(alias, user_id), user, Client())
    return ended


def follow_password_change(subject: str, session_id: UUID, session_hash: str, client: Client) -> IssuedTokens | None:
    """Keep the session in which the password was changed, and end the user's other sessions.

    ``session_hash`` is what `django.contrib.auth.update_session_auth_hash` wrote to Django's session. If it does not
    belong to the user's current password, nothing happens.

    If the change has ended the session already, because a process has read of it first, return the tokens of a new
    session that takes its place. Otherwise return None. It is opened under the same lock: a later change ends it.
    """
    alias = writer(RefreshToken)
    own = RefreshToken.objects.using(alias).filter(user=subject, id=session_id).select_related("user").first()  # type: ignore[misc]
    if own is None or bytes(own.auth_hash_digest) == auth_hash.digest_of(own.user):
        return None
    with durable(alias):
        user = users.lock(alias, subject)
        # A sign-in elsewhere may have replaced the new hash by another one of the same password.
        if (
            user is None
            or not may_act(user, own.backend)
            or not auth_hash.is_same_password(_digest(session_hash), user)
        ):
            return None
        users.lock_devices(alias, user.pk)
        live = users.lock_sessions(alias, user.pk)
        own.refresh_from_db(using=alias)
        own.user = user
        if own.revoked_at is not None and own.revoked_reason != _Reason.PASSWORD_CHANGED:
            return None
        if _outdated(own, user):
            trust.end(user=user.pk)
            changed = {"user_id": user.pk, "session_id": session_id}
            events.write([events.new(SecurityEvent.Kind.PASSWORD_CHANGED, clock(alias), client, **changed)])
            _end([session for session in live if session.id != session_id], user, client)
            end_everything_granted_to(user)
            revoke_all(RefreshToken.objects.live().filter(actor=user), _Reason.ACTOR_ENDED, client=client)
        RefreshToken.objects.using(alias).filter(id=session_id).update(auth_hash_digest=auth_hash.digest_of(user))
        return opening.replace_session(own, client) if own.revoked_at is not None else None


def _unended(user: Any) -> Any:
    return RefreshToken.objects.using(writer(RefreshToken)).unended().filter(user=user.pk)


def _digest(session_hash: str) -> bytes:
    return sha256(session_hash.encode()).digest()


def _outdated(session: RefreshToken, user: Any) -> RefreshToken.Reason | None:
    """Return why the session is not valid any more, or None if it is."""
    if not may_act(user, session.backend):
        return _Reason.USER_DISABLED
    return _Reason.PASSWORD_CHANGED if auth_hash.renewed_digest(session, user) is None else None


def _end(sessions: Iterable[RefreshToken], user: Any, client: Client) -> list[UUID]:
    """End those of the locked sessions that are not valid for the locked user, and return their ids."""
    outdated = [(session.id, reason) for session in sessions if (reason := _outdated(session, user))]
    for reason in dict.fromkeys(reason for _, reason in outdated):
        ids = [id for id, of_session in outdated if of_session == reason]
        revoke_all(RefreshToken.objects.filter(id__in=ids), reason, client=client)
    return [id for id, _ in outdated]
