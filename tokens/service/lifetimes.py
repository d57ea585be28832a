"""When a session ends unless it is refreshed, and when it ends in any case."""

from datetime import datetime, timedelta

from tokens.conf import token_settings
from tokens.models import RefreshToken


def idle_until(session: RefreshToken, now: datetime) -> datetime:
    """Return when the session ends if it is not used any more after ``now``."""
    found = token_settings()
    idle: timedelta = found.idle_lifetime if session.remember else found.browser_session_lifetime
    return now + idle


def ends_at(session: RefreshToken, now: datetime) -> datetime:
    """Return when the session ends in any case if its user authenticates again ``now`` (SP 800-63B-4 section 5.2).

    It then lasts as long once more as it has since the last authentication. A session that was to end sooner than
    ABSOLUTE_LIFETIME after the sign-in keeps its own span. It never ends sooner than before.
    """
    span = session.expires_at - begun_at(session.created_at, session.authenticated_at)
    latest: datetime = max(session.expires_at, now + min(span, token_settings().absolute_lifetime))
    return latest


def begun_at(created_at: datetime, authenticated_at: datetime | None) -> datetime:
    """Return the time from which the absolute lifetime of a session counts: its last authentication.

    A sign-in that became a session later counts from the beginning of the session.
    """
    return created_at if authenticated_at is None else max(created_at, authenticated_at)
