"""What lies between a client and a server: a proxy that counts, loses answers and gives its own, and another server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFRESH = "/api/auth/refresh"
Answer = tuple[int, dict[str, str]]


class Proxy:
    """Passes requests on to the server at ``port``.

    ``asked``: the path of each request. ``lost``: so many answers to a refresh are dropped after the server has given
    them. ``own``: the answers, as status and headers, that the proxy gives to the next requests with this path.
    """

    def __init__(self, port: int) -> None:
        self.port, self.origin = port, ""
        self.forget()

    def forget(self) -> None:
        self.asked: list[str] = []
        self.lost = 0
        self.own: dict[str, list[Answer]] = {}

    @property
    def refreshes(self) -> int:
        return self.asked.count(REFRESH)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Any

    def log_message(self, *args: Any) -> None:
        """Log nothing: the tests report errors."""

    def do(self) -> None:
        body = self._body()
        proxy: Proxy = self.seen
        proxy.asked.append(self.path)
        if proxy.own.get(self.path):
            status, headers = proxy.own[self.path].pop(0)
            return self._answer(status, headers, b"")
        connection = HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        connection.request(self.command, self.path, body, {**dict(self.headers), "Connection": "close"})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if self.path == REFRESH and proxy.lost:
            proxy.lost -= 1
            self.close_connection = True
            return None
        kept = {name: value for name, value in response.getheaders() if name in {"Content-Type", "Retry-After"}}
        return self._answer(response.status, kept, content)

    do_GET = do_POST = do_PATCH = do

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["Transfer-Encoding"]
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class _Stranger(_Handler):
    def do(self) -> None:
        self.seen.append(f"{self.headers}{self._body().decode()}")
        self._answer(401, {"Content-Type": "application/problem+json"}, b'{"code": "token_expired"}')

    do_GET = do_POST = do


@contextmanager
def serving(handler: type[_Handler], seen: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"seen": seen})) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def proxy_of(port: int) -> Iterator[Proxy]:
    """Serve a proxy of the server at this port."""
    found = Proxy(port)
    with serving(_Handler, found) as found.origin:
        yield found


@contextmanager
def stranger() -> Iterator[tuple[str, list[str]]]:
    """Serve another origin. Yield it, and the list of the requests that it gets, as headers and body."""
    seen: list[str] = []
    with serving(_Stranger, seen) as origin:
        yield origin, seen


class Clock:
    """The clock of a client, which a test moves forward. Sleeping moves it too."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self.ahead = now, 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self._now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds
