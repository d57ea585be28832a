"""The header Content-Security-Policy of all pages, from the setting CONTENT_SECURITY_POLICY.

Django 6 has a middleware for it (`django.middleware.csp`). This one is for older versions, and builds the header once.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

HEADER = "Content-Security-Policy"


@lru_cache(maxsize=8)
def policy(**more: str) -> str:
    """Return the value of the header. ``more`` adds directives by name, with ``_`` instead of ``-``."""
    directives = {name: " ".join(values) for name, values in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items()}
    directives |= {name.replace("_", "-"): value for name, value in more.items()}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@sync_and_async_middleware
def middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Set the header on every response that has none."""
    value = policy()

    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponseBase:
            return _with_header(await get_response(request), value)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _with_header(get_response(request), value)

    return middleware


def _with_header(response: HttpResponseBase, value: str) -> HttpResponseBase:
    # Django's error pages for developers need inline styles.
    if not (settings.DEBUG and response.status_code in {404, 500}):
        response.headers.setdefault(HEADER, value)
    return response
