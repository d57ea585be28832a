"""The parts of the benchmark that its figures rest on, each against the real thing."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.benchmarks.counting import Counter, counting
from tests.benchmarks.loading import load, read, written
from tests.benchmarks.peers import Request


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Path", self.path)
        self.end_headers()
        # In two pieces: an answer is complete when all of it is there.
        self.wfile.write(body[:1])
        self.wfile.flush()
        self.wfile.write(body[1:])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a server says what it is told."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def post(text: str) -> bytes:
    return written(Request("POST", f"/{text}", {"Content-Type": "text/plain"}, text.encode()))


def test_each_request_is_sent_once_and_told_its_own_answer(port):
    found = load(port, (post(f"number {number}".replace(" ", "-")) for number in range(50)), 60, connections=4)
    answers = {number: read(answer) for number, answer in found.answers}
    assert {number: answer.body for number, answer in answers.items()} == {n: b"number-%d" % n for n in range(50)}
    assert all(("x-path", f"/number-{number}") in answer.headers for number, answer in answers.items())
    assert len(found.latencies) == 50


def test_a_slice_ends_when_its_time_is_over(port):
    assert len(load(port, repeat(post("again")), 0, connections=3).answers) == 3
    assert load(port, cycle([post("again")]), 0.01, connections=1).seconds >= 0.01


@pytest.fixture
def server(db: None) -> Any:
    """How one connects to the tests' database, over a Unix socket."""
    connection.ensure_connection()
    found = connection.connection.info
    if not found.host.startswith("/"):
        pytest.skip("the server that DATABASE_URL names is not reached over a Unix socket")
    return found


@pytest.fixture
def counter(server: Any) -> Iterator[Counter]:
    target = Path(server.host) / f".s.PGSQL.{server.port}"
    with TemporaryDirectory(prefix="latchkey-") as folder, counting(Path(folder) / target.name, target) as found:
        yield found


@pytest.fixture
def session(counter: Counter, server: Any) -> Iterator[psycopg.Connection]:
    """A connection past the counter."""
    parameters = {**server.get_parameters(), "host": str(Path(counter.server_address).parent)}
    with psycopg.connect(**parameters, password=server.password, autocommit=True) as found:
        yield found


def counted(counter: Counter) -> tuple[int, int]:
    return counter.statements, counter.round_trips


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("values", [None, [1]], ids=["simple", "extended"])
def test_a_statement_is_one_round_trip(counter, session, values):
    before = counted(counter)
    session.execute("SELECT 1" if values is None else "SELECT %s", values)
    assert counted(counter) == (before[0] + 1, before[1] + 1)


@pytest.mark.only_on("postgresql")
def test_a_transaction_counts_what_begins_and_what_ends_it(counter, session):
    before = counted(counter)
    with session.transaction():
        session.execute("SELECT generate_series(1, 20000)")
    assert counted(counter) == (before[0] + 3, before[1] + 3)
