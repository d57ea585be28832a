"""CORS: pages of `TokenSettings.trusted_origins` may use the API with credentials, and nobody else's.

Through the signal that django-cors-headers asks; where its ``CORS_URLS_REGEX`` says, and nowhere else.
"""

import re
from typing import Any

from corsheaders.conf import conf
from corsheaders.signals import check_request_enabled
from django.dispatch import receiver
from django.http import HttpRequest

from tokens.conf import token_settings


@receiver(check_request_enabled)
def is_trusted(*, request: HttpRequest, **kwargs: Any) -> bool:
    """Whether the browser may let the page that sends this request read the answer."""
    in_reach = re.match(conf.CORS_URLS_REGEX, request.path_info) is not None
    return in_reach and request.META.get("HTTP_ORIGIN") in token_settings().trusted_origins
