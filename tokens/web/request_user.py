"""Sets ``request.user``, ``request.auser`` and ``request.auth`` to what the exchange knows."""

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tokens.web import hand_over
from tokens.web.exchange import Exchange
from tokens.web.user import LazyUser


def set_user(request: HttpRequest, exchange: Exchange) -> None:
    """Set ``request.user``, ``request.auser`` and ``request.auth`` to what the exchange knows."""
    user = user_of(request, exchange)
    request.user = user
    request.auser = partial(auser, user)
    request.auth = exchange.access  # type: ignore[attr-defined]


def user_of(request: HttpRequest, exchange: Exchange) -> Any:
    """Return the value of ``request.user``, which loads the user when a view needs it."""
    if exchange.by_session:
        return SimpleLazyObject(partial(_user_of_session, request, exchange))
    if exchange.access is None:
        return SimpleLazyObject(lambda: _anonymous(exchange))
    loaded = exchange.issued.user if exchange.issued else None
    return LazyUser(exchange.access.subject, exchange.note_user_asked, loaded)


async def auser(user: Any) -> Any:
    """Return the user for ``await request.auser()``."""
    await sync_to_async(str)(user)  # Loads the row, which an async view may not do.
    return user


def _user_of_session(request: HttpRequest, exchange: Exchange) -> Any:
    """Return the user of a session that another middleware has put on the request, as Django does."""
    exchange.note_user_asked()
    return get_user(request) if hand_over.is_valid(request.session) else AnonymousUser()


def _anonymous(exchange: Exchange) -> AnonymousUser:
    exchange.note_user_asked()
    return AnonymousUser()
