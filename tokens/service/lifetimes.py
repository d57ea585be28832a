"""How long a session lasts: whether it goes on when the browser is closed, and when it ends.

With LIFETIMES the level that the methods of a session support has limits of its own (NIST SP 800-63B-4 section 2). The
absolute one counts from the time at which the user proved all that the level needs. So one factor alone does not move
the end of a session that was opened with two.
"""

from collections.abc import Iterable
from datetime import datetime

from tokens.conf import ALWAYS, BOUND, token_settings
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import instant
from tokens.protocol.methods import PERSONAL, loads, names_in, supported_since


def is_remembered(session: RefreshToken, *, is_bound: bool = False) -> bool:
    """Return whether the session goes on when the browser is closed, as its user has asked and REMEMBER allows.

    ``is_bound``: whether it is about to be bound to its device.
    """
    allowed = token_settings().remember
    is_bound = is_bound or session.bound_at is not None
    return session.remember and (allowed == ALWAYS or (allowed == BOUND and is_bound))


def idle_until(session: RefreshToken, now: datetime, *, methods: str | None = None, is_bound: bool = False) -> datetime:
    """Return when the session ends if it is not used any more after ``now``.

    ``methods``: those that it is about to have. ``is_bound`` as in `is_remembered`.
    """
    found = token_settings()
    idle = found.idle_lifetime if is_remembered(session, is_bound=is_bound) else found.browser_session_lifetime
    limit = found.limits_of(names_in(session.methods if methods is None else methods)).idle
    return now + (idle if limit is None else min(idle, limit))


def ends_at(session: RefreshToken, now: datetime, *, methods: str | None = None) -> datetime:
    """Return when the session ends in any case if its user authenticates again ``now`` (SP 800-63B-4 section 5.2).

    Its absolute lifetime begins again. A session that was opened with a shorter lifetime gets that one again.
    ``methods``: those that it is about to have. Unless their level has a limit, the session never ends sooner than
    before.
    """
    span = longest = token_settings().absolute_lifetime
    if session.expires_at != _end_of_level(session.methods):
        span = min(longest, session.expires_at - begun_at(session.created_at, session.authenticated_at))
    end: datetime = max(session.expires_at, now + span)
    return within_level(end, session.methods if methods is None else methods)


def is_reopened_by(session: RefreshToken, proved: Iterable[str]) -> bool:
    """Return whether these methods reopen the session when it is idle, together with its refresh token.

    The token is something that the user has. So they must prove what they know or are (SP 800-63B-4 section 2.2.3), or
    all that the level needs.
    """
    given, acr_of = frozenset(proved), token_settings().acr_of
    return not given.isdisjoint(PERSONAL) or acr_of(given) == acr_of(session.amr)


def kept_until(session: RefreshToken) -> datetime:
    """Return until when the client needs the tokens of the session. They reopen it when it is idle."""
    return session.expires_at if session.is_reopened else session.ends_at


def within_level(end: datetime, methods: str) -> datetime:
    """Return when a session with these methods ends that would else end then."""
    of_level = _end_of_level(methods)
    return end if of_level is None else min(end, of_level)


def begun_at(created_at: datetime, authenticated_at: datetime | None) -> datetime:
    """Return the time from which the absolute lifetime of a session counts: its last authentication.

    A sign-in that became a session later counts from the beginning of the session.
    """
    return created_at if authenticated_at is None else max(created_at, authenticated_at)


def _end_of_level(methods: str) -> datetime | None:
    """Return when the level of these methods ends, or None if LIFETIMES does not say."""
    found = token_settings()
    limit = found.limits_of(names_in(methods)).absolute
    if limit is None:
        return None
    proved = loads(methods)
    since = supported_since(proved, dict(found.acr_values)[str(found.acr_of(proved))])
    return instant(since) + limit
