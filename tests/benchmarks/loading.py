"""A slice of load: prepared requests, over a few connections that stay open.

Each connection sends the next request when the one before is answered (a closed loop). Responses are parsed after the
clock has stopped. So this process does little meanwhile, and the server limits the rate.
"""

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from time import perf_counter

from tests.benchmarks.clients import Request, Response

SECONDS = 30
"""How long a response may take."""
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Slice:
    """``latencies``: the seconds that each request took. ``answers``: each with the number of its request."""

    seconds: float
    latencies: list[float]
    answers: list[tuple[int, bytes]]


def load(port: int, requests: Iterable[bytes], seconds: float, connections: int) -> Slice:
    """Send requests to this port of this machine until so many ``seconds`` are over, or there are no more.

    Raise `ConnectionError` if the server closes a connection, and `ValueError` for a response without a length.
    """
    waiting = enumerate(requests)
    latencies: list[float] = []
    answers: list[tuple[int, bytes]] = []
    with ExitStack() as stack:
        selector = stack.enter_context(DefaultSelector())
        exchanges = [_Exchange(stack.enter_context(_connected(port))) for _ in range(connections)]
        for exchange in exchanges:
            selector.register(exchange.socket, EVENT_READ, exchange)
        began = now = perf_counter()
        under_way = sum(exchange.send(waiting) for exchange in exchanges)
        while under_way:
            ready = selector.select(SECONDS)
            if not ready:
                raise ConnectionError(f"no answer in {SECONDS} s")
            for exchange in (key.data for key, _ in ready):
                if exchange.receive():
                    now = perf_counter()
                    latencies.append(now - exchange.sent_at)
                    answers.append((exchange.number, exchange.answer))
                    if now - began >= seconds or not exchange.send(waiting):
                        under_way -= 1
    return Slice(now - began, latencies, answers)


class _Exchange:
    """One request at a time and its response, over one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.number, self.sent_at, self.answer, self._length = -1, 0.0, b"", 0

    def send(self, waiting: Iterator[tuple[int, bytes]]) -> bool:
        """Send the next request. Return False if there is none."""
        for self.number, request in waiting:
            self.answer, self._length = b"", 0
            self.sent_at = perf_counter()
            self.socket.sendall(request)
            return True
        return False

    def receive(self) -> bool:
        """Read what has arrived. Return whether the response is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.answer += data
        if not self._length and (end := self.answer.find(_END_OF_HEAD)) >= 0:
            self._length = end + len(_END_OF_HEAD) + _body_length(self.answer[:end])
        return bool(self._length) and len(self.answer) >= self._length


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _body_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    if head.split(b" ", 2)[1] in {b"204", b"304"}:
        return 0
    raise ValueError(f"a response without a length: {head!r}")


def written(request: Request) -> bytes:
    """Return the bytes of a request."""
    headers = {"Host": "localhost", **request.headers}
    if request.body or request.method != "GET":
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + _END_OF_HEAD + request.body


def read(answer: bytes) -> Response:
    """Return the response that these bytes contain."""
    head, _, body = answer.partition(_END_OF_HEAD)
    status, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    return Response(int(status.split(" ", 2)[1]), headers, body)
