"""The application for WSGI servers, static files included.

WhiteNoise stands around it, not in MIDDLEWARE: it is synchronous, and would hold a thread for each request of an ASGI
server, in front of which a proxy should serve ``STATIC_ROOT``. In development Django serves static files itself.
"""

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

from config.requests import WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
handler = application = get_wsgi_application()
handler.request_class = WSGIRequest


def as_pages_do(headers: Any, path: str, url: str) -> None:
    """Say of a static file what `SecurityMiddleware` says of pages: files do not come past it."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"


if not settings.DEBUG:
    application = WhiteNoise(
        handler, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL, add_headers_function=as_pages_do
    )
