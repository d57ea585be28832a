"""Ends the sessions of a user, in the transaction that changes the account.

Devices are not trusted any more then: their user is asked for a second factor again (`tokens.service.trust`).
"""

from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.http import HttpRequest

from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.service import auth_hash, devices, queries, revocation, trust, users
from tokens.service.client import Client
from tokens.web import session
from tokens.web.client import client_of


def revoke_others(request: HttpRequest, user: Any, reason: RefreshToken.Reason) -> bool:
    """End all sessions of the user except the one of this request, which stays valid with the user's new password.

    The user's other devices are forgotten, and impersonations by the user end as well. So does everything that other
    packages have granted to the user (`tokens.contrib.oauth_toolkit`). Return False, and do nothing,
    if the session of this request has ended: the user must not change anything then. Raise `ImpersonationRefused` in
    an impersonation.
    """
    session.refuse_impersonation(request)
    trust.end(user=user.pk)
    session_id, alias, client = session.current_id(request), writer(RefreshToken), client_of(request)
    other_devices = devices.lock_others(user, client, session_id)
    if session_id not in {row.id for row in users.lock_sessions(alias, user.pk)}:
        return False
    RefreshToken.objects.using(alias).filter(id=session_id).update(auth_hash_digest=auth_hash.digest_of(user))
    if HASH_SESSION_KEY in request.session:
        update_session_auth_hash(request, user)  # Django's own session, if a page has signed the user in.
    devices.forget(other_devices)
    others = queries.live_sessions(user).exclude(id=session_id)
    revocation.revoke_all(others, reason, client=client)
    begun = RefreshToken.objects.live().filter(actor=user)
    revocation.revoke_all(begun, RefreshToken.Reason.ACTOR_ENDED, client=client)
    revocation.end_everything_granted_to(user)
    return True


def revoke_all(
    request: HttpRequest | None, user: Any, reason: RefreshToken.Reason, note: str = "", *, by: Any = None
) -> None:
    """End all sessions of the user, and forget the user's devices except the one that sends this request.

    Everything that other packages have granted to the user ends as well.

    ``note`` is added to the reason in the security events. ``by`` is the member of the staff who has done it, if any.
    Without a request, or by staff, all devices are forgotten.
    """
    client = client_of(request)
    trust.end(user=user.pk)
    devices.forget_others(user, client if by is None else Client())
    revocation.revoke_all(queries.live_sessions(user), reason, user=user, by=by, client=client, note=note)
    revocation.end_everything_granted_to(user)
