"""Serves the project over TLS on a free port, or on LISTEN, in threads, and prints the port.

The arguments are the host's name, and the files of its certificate and key. Where the environment has an ORIGIN, a
proxy in front has the TLS, and this is plain http. Meanwhile each line of standard input, a JSON string, is run as
Python with Django at hand; what it assigns to ``result`` is printed as JSON. `forward` is there too: it moves this
process's clock, which is the database's as the project asks it. The end of standard input ends the server. `wire` loses
answers, or holds them, when the application has done its work: nothing of them is sent. It also is the proxy that
answers before the application is asked, and the network that breaks before; and it knows what was asked and answered.
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
ASKED = {"REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"}


class Handler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Who asks looks at the answers."""

    def get_environ(self) -> dict[str, Any]:
        scheme = {"HTTPS": "off" if behind_a_proxy else "on"}
        return {**super().get_environ(), **scheme, "tests.connection": self.connection}


class Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 1024
    allow_reuse_port = "LISTEN" in os.environ  # Whoever names the port may hold it, for us alone.

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no error of ours."""


server = Server(("127.0.0.1", int(os.environ.get("LISTEN", 0))), Handler, ipv6=False)
if not behind_a_proxy:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # The handshake is the connection's own thread's work: a browser opens some that it then leaves alone.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    os.environ["ORIGIN"] = f"https://{host}:{server.server_port}"
django.setup()

from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

from config.requests import WSGIRequest  # noqa: E402
from tokens.database import DatabaseNow  # noqa: E402

DatabaseNow.as_postgresql = DatabaseNow.as_sqlite  # type: ignore[method-assign]
traveller = time_machine.travel(datetime.now(UTC), tick=True).start()


def forward(seconds: float) -> None:
    traveller.shift(timedelta(seconds=seconds))


class Wire:
    """Between the application and the network.

    ``held``: whom answers wait for; ``lost``: how many never left; ``answered``: what `tests.browser.watching` reads,
    of each that leaves, before it does, so that whoever has an answer finds it here.
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
        asked = {name: environ[name] for name in environ if name in ASKED or name.startswith("HTTP_")}
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

    def stand_in(self, path: str, status: int) -> None:
        """Answer requests for what begins with this path with a status, or 0: cut the connection; ask nobody."""
        self._stands_in = (path, status)

    def lose(self, path: str) -> None:
        """Lose the answers to requests for what begins with this path."""
        self._loses, self.lost = path, 0

    def hold(self, path: str) -> None:
        """Hold the answers to requests for what begins with this path, until `deliver`."""
        self._holds = path

    def deliver(self) -> None:
        """Deliver what is held, and all that comes."""
        with self._turn:
            self._loses = self._holds = ""
            self._stands_in = ("", 0)
            self._turn.notify_all()

    def wait_until_held(self) -> bool:
        """Wait for an answer that is held; return whether there is one."""
        with self._turn:
            return self._turn.wait_for(lambda: bool(self.held), timeout=10)

    def wait_until_nobody_listens(self) -> bool:
        """Wait until the browser has hung up on every answer that is held; return whether it has."""
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
