"""How long a request may wait for PostgreSQL: ``DATABASE_TIMEOUT`` seconds in all, whatever the server does.

The middleware says until when; `config.postgresql` holds to it wherever a request waits: for a place in the pool, for
a new connection, for a statement. What comes too late is an `OperationalError`, which is answered 503. Commands, and
what else runs outside a request, may take as long as they like.

By default it is half of ``REUSE_GRACE``: a refresh that somebody has given up on, and sends again, is decided before
the grace is over, or never.

Where the server has just proved to be silent, requests wait for `PATIENCE` only: they would hold all threads, and
whoever comes later would wait for those that wait.
"""

from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

PATIENCE = 1.0
"""Seconds that a request waits for a server that was silent."""
SILENCE = 5.0
"""Seconds for which it counts as silent."""

_until: ContextVar[float | None] = ContextVar("until", default=None)
_silent_until = float("-inf")


def left() -> float | None:
    """How many seconds this request may still wait; None outside a request."""
    until = _until.get()
    return None if until is None else until - monotonic()


def note_silence() -> None:
    """The server did not even answer a request to give up."""
    global _silent_until
    _silent_until = monotonic() + SILENCE


def is_silent() -> bool:
    return monotonic() < _silent_until


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            token = _until.set(_deadline())
            try:
                response: HttpResponseBase = await get_response(request)
            finally:
                _until.reset(token)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = _until.set(_deadline())
        try:
            response: HttpResponseBase = get_response(request)
        finally:
            _until.reset(token)
        return response

    return middleware


def _deadline() -> float:
    seconds: float = settings.DATABASE_TIMEOUT
    return monotonic() + (min(seconds, PATIENCE) if is_silent() else seconds)
