import os

from django.core.asgi import get_asgi_application

from tokens.web.requests import ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
handler = get_asgi_application()
handler.request_class = ASGIRequest

from tokens.web.bodies import BodyLimit  # noqa: E402  It needs the apps.

application = BodyLimit(handler)
