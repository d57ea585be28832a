"""Bodies of requests: how large they may be, and those whose length the headers do not say.

BODY_LIMITS says how many bytes a body may have. A larger one is answered 413, and neither kept in memory nor written to
the disk. If the headers say the length, the middleware refuses it before the body is read. A body in chunks is counted
while it is read. Under ASGI Django reads the whole body before any middleware runs, so `BodyLimit` wraps the
application there.

Django and REST framework take a body of unknown length for an empty one, so that a view would miss what the client
sends: one in chunks (RFC 9112 section 7.1), and some of HTTP/2. `measure` gives it its length if the server passes it
on: ASGI servers always do, and WSGI servers say so by ``wsgi.input_terminated``. Otherwise the answer is 411.
"""

from collections.abc import Awaitable, Callable
from io import SEEK_END, BytesIO, IOBase
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import get_script_prefix
from django.http import HttpRequest, HttpResponse

from tokens.conf import token_settings
from tokens.service import events
from tokens.web.http import problems
from tokens.web.http.origins import SAFE_METHODS, is_unsafe
from tokens.web.http.problems import Problem

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
"""The content types that Django parses itself."""
TOO_LARGE = "tokens.body_too_large"
"""The key in the ``scope`` of a request whose body `BodyLimit` has not passed on."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class BodyLimit:
    """An ASGI middleware that passes no more of a body on than BODY_LIMITS allows.

    It wraps Django's application: ``application = BodyLimit(get_asgi_application())``. Django then sees an empty body,
    and `tokens.middleware` answers 413, with the same headers as any other response.
    """

    def __init__(self, app: Callable[[Scope, Any, Any], Awaitable[Any]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Any) -> Any:
        return await self.app(scope, _Limited(scope, receive) if scope["type"] == "http" else receive, send)


class _Limited:
    """The ``receive`` of one request, which counts its body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._count = 0

    async def __call__(self) -> dict[str, Any]:
        message = await self._receive()
        if TOO_LARGE in self._scope:
            # Otherwise Django would take the rest of the body for an error of the server.
            while message["type"] == "http.request":
                message = await self._receive()
        elif message.get("body") or message.get("more_body"):
            self._count += len(message.get("body", b""))
            if self._exceeds():
                self._cut()
                return {"type": "http.request", "body": b"", "more_body": False}
        return message

    def _cut(self) -> None:
        """Mark the request, and say the length that has arrived: `is_too_large` ignores requests without one."""
        self._scope[TOO_LARGE] = True
        others = (header for header in self._scope["headers"] if header[0] != b"content-length")
        self._scope["headers"] = [*others, (b"content-length", b"%d" % self._count)]

    def _exceeds(self) -> bool:
        path = self._scope["path"].removeprefix(get_script_prefix(self._scope))
        limit = token_settings().body_limits.of(path)
        lengths = (_number(value) for name, value in self._scope["headers"] if name == b"content-length")
        return limit is not None and max(self._count, *lengths, 0) > limit


class _LimitedStream(IOBase):
    """The stream of a WSGI server. A view that reads more than ``limit`` bytes of it gets `RequestDataTooBig`."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int | None = -1, /) -> bytes:
        return self._counted(self._stream.read, size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._counted(self._stream.readline, size)

    def _counted(self, read: Callable[[int], bytes], size: int | None) -> bytes:
        most = self._left + 1
        data = read(most if size is None or size < 0 else min(size, most))
        self._left -= len(data)
        if self._left < 0:
            raise RequestDataTooBig
        return data


def is_too_large(request: HttpRequest) -> bool:
    """Return whether the body is known to be larger than BODY_LIMITS allows."""
    length = request.META.get("CONTENT_LENGTH")
    if not length:
        return False
    limit = token_settings().body_limits.of(request.path_info)
    return TOO_LARGE in getattr(request, "scope", ()) or (limit is not None and _number(length) > limit)


def log_too_large(request: HttpRequest) -> None:
    """Log which setting has refused the body. Django's own line about the answer names the path."""
    limit = token_settings().body_limits.of(request.path_info)
    events.log("body too large", bytes=_number(request.META["CONTENT_LENGTH"]), limit=limit, setting="BODY_LIMITS")


def refuse_form(request: HttpRequest) -> HttpResponse | None:
    """Measure the body of an unsafe request if it is a form. Return the answer if that fails, or None.

    Other bodies are left to the views. A project may have views that read them as they arrive, up to BODY_LIMITS.
    """
    if request.method in SAFE_METHODS and "HTTP_TRANSFER_ENCODING" not in request.META:
        return None
    _limit_stream(request)
    if request.content_type not in FORMS or not is_unsafe(request):
        return None
    problem = measure(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return problems.respond(request, problem) if problem else None


def measure(request: HttpRequest, limit: int | None) -> Problem | None:
    """Write the length of the body into ``CONTENT_LENGTH`` if the headers do not say it.

    At most ``limit`` bytes are read into memory. None: BODY_LIMITS is the only limit. Return the problem that the
    request is answered with if its body cannot be read, or None.
    """
    meta = request.META
    is_chunked, length = "HTTP_TRANSFER_ENCODING" in meta, meta.get("CONTENT_LENGTH")
    if length and not is_chunked:
        return None
    stream: Any = request._stream
    if hasattr(request, "environ"):
        if not meta.get("wsgi.input_terminated"):
            # A server that has put the chunks together itself says the length. Without it, reading would never end.
            return problems.LENGTH_REQUIRED if is_chunked and length in {None, "", "0"} else None
        stream = meta["wsgi.input"]  # Django's own stream ends after CONTENT_LENGTH.
    elif stream.seekable():
        _set_length(request, stream.seek(0, SEEK_END))
        stream.seek(0)
        return None
    try:
        body = stream.read() if limit is None else stream.read(limit + 1)
    except RequestDataTooBig:
        return problems.PAYLOAD_TOO_LARGE
    except Exception:  # Each server has its own errors for chunks that are malformed or cut off.
        return problems.MALFORMED
    if limit is not None and len(body) > limit:
        return problems.PAYLOAD_TOO_LARGE
    request._body, request._stream = body, BytesIO(body)
    _set_length(request, len(body))
    return None


def _limit_stream(request: HttpRequest) -> None:
    """Limit what a view can read of the stream of a WSGI server, if the headers do not say the length."""
    meta = request.META
    is_unknown = not meta.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in meta
    if is_unknown and meta.get("wsgi.input_terminated"):
        limit = token_settings().body_limits.of(request.path_info)
        if limit is not None:
            meta["wsgi.input"] = _LimitedStream(meta["wsgi.input"], limit)


def _number(text: str | bytes) -> int:
    try:
        return int(text)
    except ValueError:  # Django ignores such a length too.
        return 0


def _set_length(request: HttpRequest, length: int) -> None:
    request.META["CONTENT_LENGTH"] = str(length)
    request.META.pop("HTTP_TRANSFER_ENCODING", None)
