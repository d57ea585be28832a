"""Sessions that lack a factor which REQUIRED_FACTORS asks of their user.

Such a session signs nobody in, and does not end. Its refresh token gets nothing without a factor, as that of an idle
session, and goes on when the user has proved one (`tokens.service.reauthentication`). An access token that was issued
before counts until it expires, where nothing asks for the session's row.

An impersonation has no methods. It lacks a factor while the actor's own session does.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from tokens.conf import token_settings
from tokens.models import RefreshToken
from tokens.protocol.methods import is_strong, names_in
from tokens.protocol.rotation import State
from tokens.service import trust


def is_required_of(user: Any) -> bool:
    """Return whether this user needs a factor besides what they know."""
    asks = token_settings().requires_factor
    return asks is not None and bool(asks(user))


def lacks_factor(session: RefreshToken, now: datetime, *, methods: str | None = None) -> bool:
    """Return whether the user of a session has to prove a factor before it goes on.

    ``session`` has its user and device. ``methods``: those that it is about to have. False for an impersonation.
    """
    asks = token_settings().requires_factor
    if asks is None or session.actor_id is not None:
        return False
    if is_strong(names_in(session.methods if methods is None else methods)):
        return False
    return not trust.holds(session.device, session.user, now) and bool(asks(session.user))


def state_of(session: RefreshToken, now: datetime, own: RefreshToken | None = None) -> State:
    """Return the part of the row that the protocol reads. A session that lacks a factor is idle.

    ``own``: the session in which an impersonation was begun.
    """
    state = session.state(now)
    if state.ended or state.idle or not lacks_factor(own or session, now):
        return state
    return replace(state, idle=True)
