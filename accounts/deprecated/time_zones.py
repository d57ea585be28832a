"""The old middleware that showed times in the user's time zone. The pages' script does that now."""

import warnings
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware

warnings.warn(
    "accounts.time_zones.TimeZoneMiddleware does nothing any more. Remove it from MIDDLEWARE.",
    DeprecationWarning,
    stacklevel=2,
)


@sync_and_async_middleware
def TimeZoneMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Return ``get_response`` itself, so that requests are handled as without this middleware."""
    return get_response
