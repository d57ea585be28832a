"""The deadline of a request: it waits for PostgreSQL at most ``DATABASE_TIMEOUT`` seconds in all.

The middleware sets the deadline. `config.postgresql` respects it wherever a request waits: for a connection of the
pool, for a new connection, and for a statement. After the deadline an `OperationalError` is raised, which is answered
503. Commands, and other code outside of a request, have no deadline.

The default is half of ``REUSE_GRACE``. If a client gives up on a refresh and sends it again, the first attempt is
decided within the grace, or not at all.

If the server has just failed to answer, requests wait only `PATIENCE` seconds. Otherwise they would occupy all threads,
and later requests would wait for a thread.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

PATIENCE = 1.0
"""Seconds that a request waits for a server that did not answer the last time."""
SILENCE = 5.0
"""Seconds for which a server that did not answer counts as silent."""

_until: ContextVar[float | None] = ContextVar("until", default=None)
_silent_until = float("-inf")


def left() -> float | None:
    """Return how many seconds this request may still wait. None outside of a request."""
    until = _until.get()
    return None if until is None else until - monotonic()


@contextmanager
def suspended() -> Iterator[None]:
    """Within, there is no deadline."""
    token = _until.set(None)
    try:
        yield
    finally:
        _until.reset(token)


def note_silence() -> None:
    """Note that the server did not even answer the request to cancel a statement."""
    global _silent_until
    _silent_until = monotonic() + SILENCE


def is_silent() -> bool:
    """Return whether the server counts as silent."""
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
