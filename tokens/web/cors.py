"""CORS: only pages of `TokenSettings.trusted_origins` may use the API with credentials.

This is done by a receiver of django-cors-headers, for URLs that match its ``CORS_URLS_REGEX``.
"""

import re
from functools import lru_cache
from typing import Any

from corsheaders.conf import conf
from corsheaders.middleware import CorsMiddleware as BaseCorsMiddleware
from corsheaders.signals import check_request_enabled
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest

from tokens.conf import token_settings


class CorsMiddleware(BaseCorsMiddleware):
    """Does nothing if no other origin is trusted. Otherwise it would take a tenth of the time of most requests."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if _allows_some() else self.get_response(request)


@lru_cache(maxsize=1)
def _allows_some() -> bool:
    """Return whether another origin may read some response, by the settings of this process."""
    some = conf.CORS_ALLOW_ALL_ORIGINS or conf.CORS_ALLOWED_ORIGINS or conf.CORS_ALLOWED_ORIGIN_REGEXES
    return bool(some or token_settings().trusted_origins)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "DEBUG"} or setting.startswith("CORS_"):
        _allows_some.cache_clear()


@receiver(check_request_enabled)
def is_trusted(*, request: HttpRequest, **kwargs: Any) -> bool:
    """Return whether the browser may let the page that has sent this request read the response."""
    in_reach = re.match(conf.CORS_URLS_REGEX, request.path_info) is not None
    return in_reach and request.META.get("HTTP_ORIGIN") in token_settings().trusted_origins
