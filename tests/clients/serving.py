"""The project behind a real socket, for third-party clients."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.handlers.wsgi import WSGIHandler

from tests.browser.proxies import reserved_port
from tests.scale.cluster import ROOT, Node, running, wait_for


class _Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log nothing: the tests report errors."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the project on a free port in another thread, and yield its address. Its requests have no database."""
    with make_server("127.0.0.1", 0, WSGIHandler(), handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def granian(interface: str, variables: dict[str, str], *arguments: str, **options: Any) -> Iterator[str]:
    """Serve the project with granian, and yield its address, which is its ORIGIN if the ``variables`` name no other.

    ``interface``: wsgi or asgi. ``arguments``: more of granian's. ``options``: those of the process.
    """
    command = [sys.executable, "-m", "granian", "--interface", interface, *arguments, f"config.{interface}:application"]
    with reserved_port() as port:
        address = f"http://127.0.0.1:{port}"
        env = {"ORIGIN": address, **variables}
        with running([*command, "--port", str(port)], cwd=ROOT, env=env, **options) as process:
            wait_for(Node(port, process).listens, "granian")
            yield address
