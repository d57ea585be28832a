"""The deadline of a request: it waits for PostgreSQL at most ``DATABASE_TIMEOUT`` seconds in all.

The middleware sets the deadline. `config.postgresql` respects it wherever a request waits: for a connection of the
pool, for a new connection, and for a statement. After the deadline an `OperationalError` is raised, which is answered
503. Commands, and other code outside of a request, have no deadline. A task of asyncio inherits the context of the
request that has begun it, and has no deadline any more when the request is over.

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


class _Deadline:
    """The deadline of one request. ``until`` is None when the request is over."""

    until: float | None

    def __init__(self) -> None:
        seconds: float = settings.DATABASE_TIMEOUT
        self.until = monotonic() + (min(seconds, PATIENCE) if is_silent() else seconds)


_current: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)
_silent_until = float("-inf")


def left() -> float | None:
    """Return how many seconds this request may still wait. None outside of a request."""
    current = _current.get()
    return None if current is None or current.until is None else current.until - monotonic()


@contextmanager
def suspended() -> Iterator[None]:
    """Within, there is no deadline."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def _of_request() -> Iterator[None]:
    """Within, there is the deadline of a request that begins now."""
    deadline = _Deadline()
    token = _current.set(deadline)
    try:
        yield
    finally:
        deadline.until = None
        _current.reset(token)


def note_silence() -> None:
    """Note that the server did not even answer the request to cancel a statement."""
    global _silent_until
    _silent_until = monotonic() + SILENCE


def is_silent() -> bool:
    """Return whether the server counts as silent."""
    return monotonic() < _silent_until


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give each request its deadline."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            with _of_request():
                response: HttpResponseBase = await get_response(request)
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with _of_request():
            response: HttpResponseBase = get_response(request)
        return response

    return middleware
