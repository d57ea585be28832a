"""The application for WSGI servers. It also serves static files.

WhiteNoise wraps the application, and is not in MIDDLEWARE, because it is synchronous and would occupy a thread for each
request of an ASGI server. In front of an ASGI server a proxy should serve ``STATIC_ROOT``. In development Django serves
static files itself.
"""

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

from config.loading import without_collecting
from tokens.web.requests import WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with without_collecting():
    handler = application = get_wsgi_application()
handler.request_class = WSGIRequest


def as_pages_do(headers: Any, path: str, url: str) -> None:
    """Add the headers that `SecurityMiddleware` adds to pages. Static files do not pass it."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"


if not settings.DEBUG:
    application = WhiteNoise(
        handler, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL, add_headers_function=as_pages_do
    )
