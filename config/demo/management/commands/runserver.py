"""``manage.py runserver``: Django's, at the host and the port of ORIGIN."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.management.commands import runserver
from django.core.servers.basehttp import WSGIServer


class Server(WSGIServer):
    request_queue_size = 1024  # Django's default is 10, too few for a page that sends many requests at once.


class Command(runserver.Command):
    server_cls = Server
    # At 127.0.0.1 the browser would send another Origin, and requests would be rejected.
    default_addr = default_addr_ipv6 = urlsplit(settings.ORIGIN).hostname or "localhost"
    # An IPv6 address in ORIGIN is served at that address.
    is_ipv6 = ":" in default_addr
    default_port = str(urlsplit(settings.ORIGIN).port or 8000)

    def handle(self, *args: Any, **options: Any) -> None:
        is_given = not (options["addrport"] or "0").isdecimal()
        options["use_ipv6"] = options["use_ipv6"] or (self.is_ipv6 and not is_given)
        super().handle(*args, **options)
