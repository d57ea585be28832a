"""Error handlers: they answer with problems (`tokens.web.http.problems`), in the format that the client accepts."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext

from tokens.api.public import problems


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """Answer 413 to a body that is too large, and 400 to any other malformed request."""
    too_large = isinstance(exception, RequestDataTooBig)
    return problems.respond(request, problems.PAYLOAD_TOO_LARGE if too_large else problems.MALFORMED)


def permission_denied(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """Answer 403 if a view raises `PermissionDenied`."""
    return problems.respond(request, problems.PERMISSION_DENIED)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token. If the browser could not keep the cookie, name the address to use."""
    problem = problems.FORM_OUTDATED
    if reason == REASON_NO_CSRF_COOKIE and urlsplit(settings.ORIGIN).scheme != request.scheme:
        problem = replace(problem, detail=gettext("Open this page at %(origin)s.") % {"origin": settings.ORIGIN})
    return problems.respond(request, problem)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """Answer 404 if no URL fits, or a view raises `Http404`."""
    return problems.respond(request, problems.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 if the database does not answer, and 500 for any other exception."""
    is_outage = isinstance(sys.exc_info()[1], problems.DATABASE_DOWN)
    return problems.respond(request, problems.UNAVAILABLE if is_outage else problems.ERROR)


@sync_and_async_middleware
def method_not_allowed(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answers 405 with a problem, because Django's response is empty.

    It is the last middleware, so that the others set cookies on its response.
    """
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            return _explained(request, await get_response(request))

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _explained(request, get_response(request))

    return middleware


def _explained(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if not isinstance(response, HttpResponseNotAllowed):
        return response
    problem = problems.respond(request, problems.METHOD_NOT_ALLOWED)
    problem["Allow"] = response["Allow"]
    return problem
