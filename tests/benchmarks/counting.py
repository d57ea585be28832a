"""A proxy between an application and PostgreSQL or Redis, which counts round trips and SQL statements.

A round trip begins when the application sends something after it has been answered. A statement is a CommandComplete
message of PostgreSQL, so BEGIN and COMMIT count too. Applications connect over a Unix socket, where no encryption is
negotiated, so everything that comes back consists of messages with a length.
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
    """Listens at ``path`` and passes everything on to ``target``. ``is_postgres``: whether to count statements."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, target: Path, *, is_postgres: bool = True) -> None:
        super().__init__(str(path), _Connection)
        self.target, self.is_postgres = target, is_postgres
        self.round_trips = self.statements = 0
        self.lock = threading.Lock()


class _Connection(BaseRequestHandler):
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
    """Remove the complete messages, and return how many of them were CommandComplete."""
    count = start = 0
    while len(messages) >= start + 5:
        end = start + 1 + int.from_bytes(messages[start + 1 : start + 5], "big")
        if len(messages) < end:
            break
        count += messages[start] == COMMAND_COMPLETE
        start = end
    del messages[:start]
    return count


@contextmanager
def counting(path: Path, target: Path, **options: Any) -> Iterator[Counter]:
    """Count what passes between ``path`` and ``target``, both Unix sockets."""
    with Counter(path, target, **options) as counter:
        threading.Thread(target=counter.serve_forever, daemon=True).start()
        try:
            yield counter
        finally:
            counter.shutdown()
