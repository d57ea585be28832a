"""How long a session lasts: whether it goes on when the browser is closed, and when it ends if it is not used."""

from datetime import datetime

from tokens.conf import ALWAYS, BOUND, NEVER, token_settings
from tokens.models import RefreshToken


def may_remember() -> bool:
    """Return whether any session can go on when the browser is closed (REMEMBER)."""
    return token_settings().remember != NEVER


def is_remembered(session: RefreshToken, *, is_bound: bool = False) -> bool:
    """Return whether the session goes on when the browser is closed, as its user has asked and REMEMBER allows.

    ``is_bound``: whether it is about to be bound to its device.
    """
    allowed = token_settings().remember
    is_bound = is_bound or session.bound_at is not None
    return session.remember and (allowed == ALWAYS or (allowed == BOUND and is_bound))


def idle_until(session: RefreshToken, now: datetime, *, is_bound: bool = False) -> datetime:
    """Return when the session ends if it is not used after ``now``. ``is_bound`` as in `is_remembered`."""
    found = token_settings()
    idle = found.idle_lifetime if is_remembered(session, is_bound=is_bound) else found.browser_session_lifetime
    return now + idle
