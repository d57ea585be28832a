"""What a signed-in person may see and change of their sessions, beside ending them."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tokens.access_tokens import AccessToken, instant
from tokens.conf import token_settings
from tokens.database import clock, durable, writer
from tokens.models import RefreshToken, RefreshTokenQuerySet, SecurityEvent
from tokens.service import events, grants
from tokens.service.client import Client, digest_of_device_token
from tokens.service.ending import end_all
from tokens.service.grants import Grant
from tokens.service.opening import PASSWORD
from tokens.service.stamps import good_stamps, stamp_of

if TYPE_CHECKING:
    from tokens.prepared import Prepared


def live_sessions(user: Any) -> RefreshTokenQuerySet:
    """The user's live sessions with their devices, newest first."""
    return (
        RefreshToken.objects.using(writer(RefreshToken))
        .live()
        .filter(user=user)
        .select_related("device")
        .order_by("-id")
    )


def rename_device(session: RefreshToken, name: str) -> None:
    """Give the session's device a name."""
    session.device.name = name
    session.device.save(using=writer(RefreshToken), update_fields=["name"])


def reauthenticate(user: Any, session_id: UUID) -> Grant | None:
    """Note that the user has just authenticated again, and return a new access token; None if the session ended.

    The token carries no generation: it came without a refresh, and acknowledges nothing.
    """
    with durable(writer(RefreshToken)):
        rows = RefreshToken.objects.for_decision().live().filter(id=session_id, user=user)
        session = rows.select_for_update(of=("self",)).first()
        if session is None:
            return None
        session.authenticated_at = session.now
        session.authentication_methods = PASSWORD
        session.save(update_fields=["authenticated_at", "authentication_methods"])
    text, access = grants.access_token(session, user, None, session.now)
    return Grant(session, user, access, text)


def follow_password_change(access: AccessToken, session_hash: str, client: Client) -> None:
    """Keep this session, whose user was given a new password in it, and end those that the change left behind.

    ``session_hash``: what `django.contrib.auth.update_session_auth_hash` wrote to Django's own session. Where it is
    not the user's present one it proves nothing, and nothing happens.
    """
    user = get_user_model()._default_manager.using(writer(get_user_model())).filter(pk=access.subject).first()
    if user is None or not constant_time_compare(session_hash, user.get_session_auth_hash()):
        return
    alias, stamp = writer(RefreshToken), stamp_of(user)
    sessions = RefreshToken.objects.using(alias).live().filter(user=user)
    own = sessions.filter(id=access.session_id).exclude(auth_hash_digest=stamp)
    changed = {"user_id": user.pk, "session_id": access.session_id}
    with durable(alias):
        # Locked in the order in which everybody locks them: two who end the same sessions must not wait for each other.
        list(sessions.order_by("id").select_for_update(of=("self",)).values_list("id"))
        if own.update(auth_hash_digest=stamp):
            events.write([events.record(SecurityEvent.Kind.PASSWORD_CHANGED, clock(alias), client, **changed)])
            left_behind = sessions.exclude(auth_hash_digest__in=list(good_stamps(user)))
            end_all(left_behind, RefreshToken.Reason.PASSWORD_CHANGED, client=client)


def is_recent(access: AccessToken) -> bool:
    """Whether its user authenticated recently enough for a sensitive change."""
    return timezone.now() - instant(access.authenticated_at) <= token_settings().reauthentication_age


def is_still_wanted(session: RefreshToken) -> bool:
    """Whether the session is not revoked, and its device has not signed in anew since."""
    alias = writer(RefreshToken)
    connection = connections[alias]
    if connection.vendor == "postgresql":
        found = _prepared_newest(alias).fetchone(connection, [session.device_id])
    else:
        found = _newest_of_device(session.device_id).using(alias).first()
    return bool(found == (session.id,))


def _newest_of_device(device_id: UUID) -> QuerySet[RefreshToken, tuple[UUID]]:
    """A device's latest session that is not revoked."""
    rows = RefreshToken.objects.filter(device=device_id, revoked_at=None)
    return rows.order_by("-created_at").values_list("id")[:1]


@lru_cache(maxsize=8)
def _prepared_newest(alias: str) -> "Prepared":
    """The same as a prepared statement: each refresh by the middleware ends with it."""
    from tokens.prepared import Prepared  # And the driver, which SQLite does without.

    text, _ = _newest_of_device(UUID(int=0)).query.get_compiler(alias).as_sql()
    return Prepared(text, ["uuid"])


def has_live_session(client: Client) -> bool:
    """Whether anybody is signed in on the device that asks."""
    if client.device_token is None:
        return False
    rows = RefreshToken.objects.using(writer(RefreshToken)).live()
    return rows.filter(device__token_digest=digest_of_device_token(client.device_token)).exists()
