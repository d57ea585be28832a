"""What Django answers when no view does: problems under ``/api/``, plain lines elsewhere."""

import sys
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from tokens import problems
from tokens.middleware import DATABASE_DOWN


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    too_large = isinstance(exception, RequestDataTooBig)
    return problems.respond(request, problems.PAYLOAD_TOO_LARGE if too_large else problems.MALFORMED)


def permission_denied(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return problems.respond(request, problems.PERMISSION_DENIED)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return problems.respond(request, problems.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """An outage of the database is one that passes; the error being handled says which it is."""
    is_outage = isinstance(sys.exc_info()[1], DATABASE_DOWN)
    return problems.respond(request, problems.UNAVAILABLE if is_outage else problems.ERROR)
