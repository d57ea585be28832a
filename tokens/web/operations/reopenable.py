"""A session that a factor reopens, whose access token is still valid: what its client is told.

Where a row is asked, such a session signs nobody in, and has not ended. So the problem is SESSION_IDLE, as at a
refresh, and never SESSION_ENDED, after which a client signs the user out.
"""

from typing import Any

from django.http import HttpRequest

from tokens.models import RefreshToken
from tokens.service import queries, required_factors
from tokens.web import factors
from tokens.web.exchange import exchange_of
from tokens.web.http import problems
from tokens.web.http.problems import Problem


def session_of(request: HttpRequest) -> RefreshToken | None:
    """Return the session of this request's token, if it is idle or lacks a factor, or None."""
    exchange = exchange_of(request)
    if exchange is None:
        return None
    if exchange.access is not None:
        return queries.reopenable_session(exchange.access.session_id, exchange.access.subject)
    return (
        queries.reopenable_session(exchange.reopenable.id, str(exchange.reopenable.user_id))
        if exchange.reopenable
        else None
    )


def problem_of(request: HttpRequest) -> tuple[Problem, dict[str, Any]]:
    """Return the problem of a request whose session signs nobody in, and further members of the problem."""
    try:
        found = session_of(request)
        return (problems.SESSION_ENDED, {}) if found is None else (problems.of_reopenable(found), members_of(found))
    except problems.DATABASE_DOWN:
        return problems.UNAVAILABLE, {}


def members_of(session: RefreshToken) -> dict[str, Any]:
    """Return the further members of the problem of such a session: the names of the factors that reopen it."""
    lacks = required_factors.lacks_factor(session, session.now)
    return {"offered": [*(factors.strong(session.user) if lacks else factors.of_user(session.user))]}
