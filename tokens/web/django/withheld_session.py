"""Django's session, put aside for a request: the view gets an empty one, and the one that the cookie names stays.

If our session lacks a factor, nobody may see what is in Django's. It is given back when its user has proved a factor,
so that nothing is lost.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest

from tokens.conf import token_settings
from tokens.service import queries
from tokens.web.django.session_cookie import session_cookie
from tokens.web.django.session_data import SESSION_ID
from tokens.web.exchange import Exchange, exchange_of


def put_aside(request: HttpRequest, exchange: Exchange) -> None:
    """Give the view an empty session. Django's session stays as it is, unless the view writes to the empty one."""
    request.session = request.session.__class__()
    exchange.session_replaced = True


def keep_cookie(request: HttpRequest, *, unless_modified: bool = True) -> None:
    """Let the response neither delete nor set Django's session cookie, unless the view has written to the session.

    ``unless_modified``: false if that does not count.
    """
    if not (unless_modified and request.session.modified):
        request.session = request.session.__class__(session_cookie(request))


def is_withheld(session: Any) -> bool:
    """Return whether our session of this Django session lacks a factor, so that no view may see whose it is."""
    if token_settings().requires_factor is None:
        return False
    session_id = session.get(SESSION_ID)
    # One of an earlier release does not name ours.
    return SESSION_KEY in session if session_id is None else queries.lacks_factor(UUID(session_id))


def withhold(request: HttpRequest, exchange: Exchange) -> None:
    """Put Django's session aside until the user has proved a factor (`restore`)."""
    exchange.withheld = request.session
    put_aside(request, exchange)


def restore(request: HttpRequest, exchange: Exchange, user: Any) -> None:
    """Let a user who has just proved a factor sign in to the session that was withheld, if it is theirs."""
    session = exchange.withheld
    if session is not None and session.get(SESSION_KEY) == user._meta.pk.value_to_string(user):
        request.session, exchange.withheld = session, None


def empty(request: Any) -> None:
    """Empty the session of a request whose sign-in was refused. One that was withheld stays as it is."""
    exchange = exchange_of(request)
    if exchange is not None and exchange.withheld is not None:
        request.session = exchange.withheld.__class__()
    else:
        request.session.flush()
