"""Finds the session that a client can reopen by a factor.

It was not used for too long, and its level allows it (LIFETIMES), or it lacks a factor
(`tokens.service.required_factors`). `tokens.service.reauthentication` reopens it, when the user has proved a factor and
the request has its refresh token.
"""

from collections.abc import Collection

from tokens.models import RefreshToken
from tokens.service import possession, refreshing, required_factors
from tokens.service.auth_hash import renewed_digest
from tokens.service.user_rules import may_act


def reopenable_session(text: str, modes: Collection[str]) -> RefreshToken | None:
    """Return the session of a refresh token of any generation, with its user, if it is idle or lacks a factor, or None.

    ``modes`` are those of `tokens.service.refreshing.refresh`.
    """
    session_id = refreshing.presented_session(text, modes)
    if session_id is None:
        return None
    session = RefreshToken.objects.for_decision().unended().filter(id=session_id).first()
    if (
        session is None
        or not (session.is_idle(session.now) or required_factors.lacks_factor(session, session.now))
        or possession.token_of(session, text, modes) is None
        or not may_act(session.user, session.backend)
        or renewed_digest(session, session.user) is None
    ):
        return None
    return session
