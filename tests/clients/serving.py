"""The project behind a real socket, for third-party clients."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.handlers.wsgi import WSGIHandler


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
