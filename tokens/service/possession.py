"""Proof of possession: who changes an account holds the session, and not only an access token of it.

Services that verify access tokens see them, and in the storage mode ``subdomain`` so do the other hosts of the site.
None of them sees the refresh token or the password.
"""

from collections.abc import Collection
from datetime import datetime
from hmac import compare_digest
from typing import Any, NamedTuple
from uuid import UUID

from tokens.conf import keyring, token_settings
from tokens.models import RefreshToken
from tokens.protocol import refresh_tokens
from tokens.protocol.refresh_tokens import InvalidRefreshToken
from tokens.protocol.rotation import ENDS_SESSION, Decision, decide
from tokens.service import auth_hash, required_factors


class Sent(NamedTuple):
    """A refresh token in a request. ``modes`` and ``old_name`` are those of `tokens.service.refreshing.refresh`."""

    text: str
    modes: Collection[str]
    old_name: bool = False


class RefreshTokenRequired(Exception):
    """A request has an access token only. It also needs the session's refresh token, or the current password."""


def is_token_of(
    session: RefreshToken, now: datetime, text: str, modes: Collection[str], *, old_name: bool = False
) -> bool:
    """Return whether this is a refresh token of the session that `tokens.protocol.rotation` would not reject now.

    So it may be one generation behind, because a parallel request may have refreshed. A session that is bound to its
    device has no refresh token. ``modes`` and ``old_name`` are those of `tokens.service.refreshing.refresh`. Nothing is
    changed: a token that was used twice does not end the session here.
    """
    presented = token_of(session, text, modes, old_name=old_name)
    return presented is not None and decide(
        required_factors.state_of(session, now), presented.generation, now, token_settings().policy
    ) not in {Decision.REFUSE, Decision.IDLE, *ENDS_SESSION}


def token_of(
    session: RefreshToken, text: str, modes: Collection[str], *, old_name: bool = False
) -> refresh_tokens.RefreshToken | None:
    """Return this refresh token of the session, of any generation, or None. The arguments are those of `is_token_of`.

    A session that is bound to its device has no refresh token.
    """
    try:
        presented = refresh_tokens.loads(text, keyring().mac_keys, old_name=old_name)
    except InvalidRefreshToken:
        return None
    is_ours = (
        session.bound_at is None
        and session.mode in modes
        and presented.session_id == session.id
        and compare_digest(bytes(session.secret_digest), presented.digest)
    )
    return presented if is_ours else None


def named_by(text: str, *, old_name: bool = False) -> tuple[UUID, int] | None:
    """Return the session and the generation in a refresh token of ours, or None. This needs no query."""
    try:
        presented = refresh_tokens.loads(text, keyring().mac_keys, old_name=old_name)
    except InvalidRefreshToken:
        return None
    return presented.session_id, presented.generation


def has_authenticated(authenticated: Any, row: Any) -> bool:
    """Return whether `django.contrib.auth.authenticate` has returned this object for the user of ``row``.

    ``row`` is the user's row as it is now. False if the password was changed since. Only `authenticate` sets the
    attribute ``backend``: ``request.user`` proves nothing.
    """
    return bool(
        authenticated.pk == row.pk
        and getattr(authenticated, "backend", None)
        and auth_hash.is_same_password(auth_hash.digest_of(authenticated), row)
    )
