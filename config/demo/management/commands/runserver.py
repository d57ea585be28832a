"""``manage.py runserver``: Django's, at the host and the port of ORIGIN."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.management.commands import runserver
from django.core.servers.basehttp import WSGIServer


class Server(WSGIServer):
    request_queue_size = 1024  # Django's default is 10, too few for a page that sends many requests at once.


class Command(runserver.Command):
    server_cls = Server
    # At 127.0.0.1 the browser would send another Origin, and requests would be rejected.
    default_addr = urlsplit(settings.ORIGIN).hostname or "localhost"
    default_port = str(urlsplit(settings.ORIGIN).port or 8000)
