"""Sets ``request.user``, ``request.auser`` and ``request.auth`` to what the exchange knows."""

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from tokens.protocol.access_tokens import AccessToken
from tokens.service import queries, user_rules
from tokens.web.django import django_sign_in
from tokens.web.exchange import Exchange
from tokens.web.http import problems
from tokens.web.lazy_user import Lazy, LazyUser, RuleCheckedUser, primary_key


def set_user(request: HttpRequest, exchange: Exchange) -> None:
    """Set ``request.user``, ``request.auser`` and ``request.auth`` to what the exchange knows."""
    user = user_of(request, exchange)
    request.user = user
    request.auser = partial(auser, user)
    request.auth = exchange.access  # type: ignore[attr-defined]


def user_of(request: HttpRequest, exchange: Exchange) -> Any:
    """Return the value of ``request.user``, which loads the user when a view needs it."""
    if exchange.by_session:
        return Lazy(partial(_user_of_session, request, exchange))
    if exchange.access is None:
        return Lazy(lambda: _anonymous(exchange))
    if user_rules.has_rules():
        find = partial(_asked, exchange, exchange.access)
        return RuleCheckedUser(exchange.access.subject, exchange.note_user_asked, find, exchange.access.session_id)
    loaded = exchange.issued.user if exchange.issued else None
    return LazyUser(exchange.access.subject, exchange.note_user_asked, loaded, exchange.access.session_id)


async def auser(user: Any) -> Any:
    """Return the user for ``await request.auser()``."""
    await sync_to_async(str)(user)  # Loads the row, which an async view may not do.
    return user


def _user_of_session(request: HttpRequest, exchange: Exchange) -> Any:
    """Return the user of a session that another middleware has put on the request, as Django does."""
    exchange.note_user_asked()
    return get_user(request) if django_sign_in.is_valid(request.session) else AnonymousUser()


def _asked(exchange: Exchange, access: AccessToken) -> Any:
    """Return the user as the project's backend or manager returns it, or `AnonymousUser`. This takes queries."""
    backend = queries.backend_of(access.session_id) if len(settings.AUTHENTICATION_BACKENDS) > 1 else ""
    if (user := user_rules.current(primary_key(access.subject), backend)) is None:
        exchange.problem = problems.SESSION_ENDED
    return user or AnonymousUser()


def _anonymous(exchange: Exchange) -> AnonymousUser:
    exchange.note_user_asked()
    return AnonymousUser()
