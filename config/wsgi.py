"""The application for WSGI servers, static files included.

WhiteNoise stands around it, not in MIDDLEWARE: it is synchronous, and would hold a thread for each request of an ASGI
server, in front of which a proxy should serve ``STATIC_ROOT``. In development Django serves static files itself.
"""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
if not settings.DEBUG:
    application = WhiteNoise(application, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL)
