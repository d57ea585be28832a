"""Ends the sessions of a user, in the transaction that changes the account (`tokens.service.user_changes`)."""

from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, update_session_auth_hash
from django.http import HttpRequest

from tokens.models import RefreshToken
from tokens.service import user_changes
from tokens.web.exchange import current_id, refuse_impersonation
from tokens.web.http.client import client_of


def revoke_others(request: HttpRequest, user: Any, reason: RefreshToken.Reason) -> bool:
    """End all sessions of the user except the one of this request, which stays valid with the user's new password.

    The user's other devices are forgotten, and impersonations by the user end as well. So does everything that other
    packages have granted to the user (`tokens.contrib.oauth_toolkit`). Return False if the session of this request has
    ended: the user must not change anything then, and nothing ends but the trust in the user's devices. Raise
    `ImpersonationRefused` in an impersonation.
    """
    refuse_impersonation(request)
    if not user_changes.end_others(user, current_id(request), reason, client_of(request)):
        return False
    if HASH_SESSION_KEY in request.session:
        update_session_auth_hash(request, user)  # Django's own session, if a page has signed the user in.
    return True


def revoke_all(
    request: HttpRequest | None, user: Any, reason: RefreshToken.Reason, note: str = "", *, by: Any = None
) -> None:
    """End all sessions of the user, and forget the user's devices except the one that sends this request.

    Everything that other packages have granted to the user ends as well.

    ``note`` is added to the reason in the security events. ``by`` is the member of the staff who has done it, if any.
    Without a request, or by staff, all devices are forgotten.
    """
    user_changes.end_all(user, reason, client_of(request), note, by=by)
