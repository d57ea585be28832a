import os

from django.core.asgi import get_asgi_application

from config.loading import without_collecting
from tokens.web.requests import ASGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with without_collecting():
    handler = get_asgi_application()
handler.request_class = ASGIRequest

from tokens.web.bodies import BodyLimit  # noqa: E402  It needs the apps.

application = BodyLimit(handler)
