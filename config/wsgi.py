"""The application for WSGI servers, static files included.

WhiteNoise stands around it, not in MIDDLEWARE: it is synchronous, and would hold a thread for each request of an ASGI
server, in front of which a proxy should serve ``STATIC_ROOT``. In development Django serves static files itself.
"""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

from config.requests import WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
handler = application = get_wsgi_application()
handler.request_class = WSGIRequest
if not settings.DEBUG:
    application = WhiteNoise(handler, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL)
