"""Serves the project over TLS on a free port, or on LISTEN, in threads, and prints the port.

The arguments are the host's name, and the files of its certificate and key. If the environment has an ORIGIN, a proxy
in front does the TLS, and this server speaks plain http. The server stops when standard input ends.

Each line of standard input is a JSON string with Python code. The code is run with Django set up, and its variable
``result`` is printed as JSON. `forward` moves the clock of this process, and of the database as the project asks it.
`wire` records requests and answers, holds or loses answers that the application has made, and answers in its place.
"""

import json
import os
import select
import socket
import ssl
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import django
import time_machine
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

host, certificate, key = sys.argv[1:]
behind_a_proxy = "ORIGIN" in os.environ
RECORDED = {"REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"}


class Handler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Log nothing: the tests read the answers."""

    def get_environ(self) -> dict[str, Any]:
        scheme = {"HTTPS": "off" if behind_a_proxy else "on"}
        return {**super().get_environ(), **scheme, "tests.connection": self.connection}


class Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 1024
    allow_reuse_port = "LISTEN" in os.environ  # The test that chose the port holds it for this server.

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that closes its connection early."""


server = Server(("127.0.0.1", int(os.environ.get("LISTEN", 0))), Handler, ipv6=False)
if not behind_a_proxy:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # The connection's own thread does the handshake: a browser opens connections that it does not use.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    os.environ["ORIGIN"] = f"https://{host}:{server.server_port}"
django.setup()

from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

from tokens.database.expressions import DatabaseNow  # noqa: E402
from tokens.web.requests import WSGIRequest  # noqa: E402

DatabaseNow.as_postgresql = DatabaseNow.as_sqlite  # type: ignore[method-assign]
traveller = time_machine.travel(datetime.now(UTC), tick=True).start()


def forward(seconds: float) -> None:
    traveller.shift(timedelta(seconds=seconds))


class Wire:
    """The network between the application and the browser.

    ``held``: the connections whose answers are held. ``lost``: the number of lost answers. ``answered``: each request
    (PEP 3333), with the status and the time of its answer. `tests.browser.watching` reads it, so it is written before
    the answer is sent.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._turn = threading.Condition()
        self._loses = self._holds = ""
        self._stands_in = ("", 0)
        self.held: list[Any] = []
        self.lost = 0
        self.answered: list[tuple[dict[str, str], int, float]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        begun = []

        def start(status: str, headers: Any, *error: Any) -> Any:
            begun.append(int(status.split()[0]))
            return start_response(status, headers, *error)

        answer = self._answer(environ, start)
        asked = {name: environ[name] for name in environ if name in RECORDED or name.startswith("HTTP_")}
        self.answered.append((asked, begun[-1], time.perf_counter()))
        return answer

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        path, connection = environ["PATH_INFO"], environ["tests.connection"]
        stands_in, status = self._stands_in
        if stands_in and path.startswith(stands_in):
            if not status:
                connection.shutdown(socket.SHUT_RDWR)
            start_response(f"{status or 502} Of the proxy's own", [("Content-Length", "0")])
            return [b""]
        answer = self._application(environ, start_response)
        with self._turn:
            if self._loses and path.startswith(self._loses):
                self.lost += 1
                connection.shutdown(socket.SHUT_RDWR)
            elif self._holds and path.startswith(self._holds):
                self.held.append(connection)
                self._turn.notify_all()
                self._turn.wait_for(lambda: not self._holds, timeout=20)
                self.held.remove(connection)
        return answer

    # `tests.browser.sites.Site` says what these do. Each ``path`` is the beginning of the paths that it applies to.

    def stand_in(self, path: str, status: int) -> None:
        self._stands_in = (path, status)

    def lose(self, path: str) -> None:
        self._loses, self.lost = path, 0

    def hold(self, path: str) -> None:
        self._holds = path

    def deliver(self) -> None:
        with self._turn:
            self._loses = self._holds = ""
            self._stands_in = ("", 0)
            self._turn.notify_all()

    def wait_until_held(self) -> bool:
        with self._turn:
            return self._turn.wait_for(lambda: bool(self.held), timeout=10)

    def wait_until_nobody_listens(self) -> bool:
        return all(select.select([connection], [], [], 10)[0] for connection in self.held)


handler = WSGIHandler()
handler.request_class = WSGIRequest
wire = Wire(StaticFilesHandler(handler))
server.set_app(wire)
threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
print(server.server_port, flush=True)  # noqa: T201
for line in sys.stdin:
    names: dict[str, object] = {"result": None, "forward": forward, "wire": wire}
    try:
        exec(json.loads(line), names)  # noqa: S102
        answer = {"result": names["result"]}
    except Exception:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer, default=str), flush=True)  # noqa: T201
