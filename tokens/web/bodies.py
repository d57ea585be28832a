"""Bodies whose length the headers do not say: chunked ones (RFC 9112 section 7.1), and some of HTTP/2.

Django and REST framework take such a body for an empty one, so that a view would miss what the client sends. `measure`
gives it its length if the server passes it on: ASGI servers always do, and WSGI servers say so by
``wsgi.input_terminated``. Otherwise the answer is 411.
"""

from io import SEEK_END, BytesIO
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from tokens.web import problems
from tokens.web.origins import is_unsafe
from tokens.web.problems import Problem

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
"""The content types that Django parses itself."""


def refuse_form(request: HttpRequest) -> HttpResponse | None:
    """Measure the body of an unsafe request if it is a form. Return the answer if that fails, or None.

    Other bodies are left to the views. A project may have views that read them as they arrive, however large they are.
    """
    if request.content_type not in FORMS or not is_unsafe(request):
        return None
    problem = measure(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return problems.respond(request, problem) if problem else None


def measure(request: HttpRequest, limit: int | None) -> Problem | None:
    """Write the length of the body into ``CONTENT_LENGTH`` if the headers do not say it.

    At most ``limit`` bytes are read into memory. None: there is no limit. Return the problem that the request is
    answered with if its body cannot be read, or None.
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
    except Exception:  # Each server has its own errors for chunks that are malformed or cut off.
        return problems.MALFORMED
    if limit is not None and len(body) > limit:
        return problems.PAYLOAD_TOO_LARGE
    request._body, request._stream = body, BytesIO(body)
    _set_length(request, len(body))
    return None


def _set_length(request: HttpRequest, length: int) -> None:
    request.META["CONTENT_LENGTH"] = str(length)
    request.META.pop("HTTP_TRANSFER_ENCODING", None)
