"""The project behind a real socket, for clients that nobody here wrote."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.core.handlers.wsgi import WSGIHandler


class _Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """The test says what went wrong."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the project's WSGI application on a free port, and yield its address.

    It answers in a thread of its own, with no database: for what needs none, like the public keys.
    """
    with make_server("127.0.0.1", 0, WSGIHandler(), handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
