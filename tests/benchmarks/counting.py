"""Between an application and what it asks: counts round trips, and the statements that PostgreSQL completes.

A round trip begins when the application sends something after it has been answered. Statements are PostgreSQL's
messages CommandComplete: BEGIN and COMMIT too. Applications connect over a Unix socket, where there is no talk about
encryption, so that all that comes back is messages with a length.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingMixIn, UnixStreamServer
from typing import Any

COMMAND_COMPLETE = b"C"[0]


class Counter(ThreadingMixIn, UnixStreamServer):
    """Listens at ``path`` and passes everything on to ``target``. ``is_postgres``: whether to look for statements."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, target: Path, *, is_postgres: bool = True) -> None:
        super().__init__(str(path), _Passing)
        self.target, self.is_postgres = target, is_postgres
        self.round_trips = self.statements = 0
        self.lock = threading.Lock()


class _Passing(BaseRequestHandler):
    server: Counter

    def handle(self) -> None:
        self._is_answered = True
        with socket.socket(socket.AF_UNIX) as target:
            target.connect(str(self.server.target))
            back = threading.Thread(target=self._pass_back, args=(target,), daemon=True)
            back.start()
            while data := self.request.recv(65536):
                if self._is_answered:
                    self._is_answered = False
                    with self.server.lock:
                        self.server.round_trips += 1
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
            back.join()

    def _pass_back(self, target: socket.socket) -> None:
        messages = bytearray()
        while data := target.recv(65536):
            if self.server.is_postgres:
                messages += data
                completed = _completed(messages)
                with self.server.lock:
                    self.server.statements += completed
            self._is_answered = True
            self.request.sendall(data)


def _completed(messages: bytearray) -> int:
    """Take the whole messages away, and return how many of them were CommandComplete."""
    count = start = 0
    while len(messages) >= start + 5 and len(messages) >= (end := start + 1 + _length(messages, start)):
        count += messages[start] == COMMAND_COMPLETE
        start = end
    del messages[:start]
    return count


def _length(messages: bytearray, start: int) -> int:
    return int.from_bytes(messages[start + 1 : start + 5], "big")


@contextmanager
def counting(path: Path, target: Path, **options: Any) -> Iterator[Counter]:
    """Count what passes between ``path`` and ``target``, both Unix sockets."""
    with Counter(path, target, **options) as counter:
        threading.Thread(target=counter.serve_forever, daemon=True).start()
        try:
            yield counter
        finally:
            counter.shutdown()
