"""Finds the user of Django's session in a transaction of a view, and writes nothing. It is examined after the view.

Until then ``request.user`` is the user of Django's session, if ours was not opened yet, or so recently that the
response to its first refresh may not have arrived.
"""

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest

from tokens.web.django import django_session, withheld_session
from tokens.web.django.django_sign_in import is_valid, may_be_parallel
from tokens.web.django.session_data import FIRST_TOKENS, MARK
from tokens.web.exchange import Exchange


def find_user(request: HttpRequest, exchange: Exchange, *, may_open: bool) -> bool:
    """Set who the user is, for this transaction. Return whether the session is to be examined after the view.

    ``may_open`` as in `django_session.examine`. If not, the view gets an empty session.
    """
    session = request.session
    if SESSION_KEY not in session or not django_session.needs_our_session(session, None, may_open=may_open):
        is_kept = not django_session.has_ended(request, exchange) and not withheld_session.is_withheld(session)
        is_due = False
    elif may_open and MARK in session and FIRST_TOKENS not in session and not may_be_parallel(session):
        is_kept = is_due = django_session.is_live(session)  # Only the first refresh can say who it is.
    else:
        is_kept = is_due = exchange.by_session = may_open and is_valid(session)
    if not is_kept:
        withheld_session.put_aside(request, exchange)
    return is_due
