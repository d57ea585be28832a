"""CORS: only pages of `TokenSettings.trusted_origins` may use the API with credentials.

This is done by a receiver of django-cors-headers, for URLs that match its ``CORS_URLS_REGEX``.
"""

import re
from typing import Any

from corsheaders.conf import conf
from corsheaders.middleware import CorsMiddleware as BaseCorsMiddleware
from corsheaders.signals import check_request_enabled
from django.dispatch import receiver
from django.http import HttpRequest

from tokens.conf import token_settings


class CorsMiddleware(BaseCorsMiddleware):
    """Does nothing if no other origin is trusted. Otherwise it would take a twelfth of the time of a refresh."""

    def is_enabled(self, request: HttpRequest) -> bool:
        some = conf.CORS_ALLOW_ALL_ORIGINS or conf.CORS_ALLOWED_ORIGINS or conf.CORS_ALLOWED_ORIGIN_REGEXES
        return bool(some or token_settings().trusted_origins) and super().is_enabled(request)


@receiver(check_request_enabled)
def is_trusted(*, request: HttpRequest, **kwargs: Any) -> bool:
    """Return whether the browser may let the page that has sent this request read the response."""
    in_reach = re.match(conf.CORS_URLS_REGEX, request.path_info) is not None
    return in_reach and request.META.get("HTTP_ORIGIN") in token_settings().trusted_origins
