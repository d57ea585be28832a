"""The load generator and the counter of statements, with a real server and a real database."""

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

from tests.benchmarks.clients import Request
from tests.benchmarks.counting import Counter, counting
from tests.benchmarks.loading import load, read, written


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Path", self.path)
        self.end_headers()
        # In two pieces, because a response is complete only when all of it has arrived.
        self.wfile.write(body[:1])
        self.wfile.flush()
        self.wfile.write(body[1:])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that returns what it receives. With equal answers, mixed-up ones would go unnoticed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def post(text: str) -> bytes:
    return written(Request("POST", f"/{text}", {"Content-Type": "text/plain"}, text.encode()))


def test_each_request_is_sent_once_and_matched_with_its_own_answer(port):
    found = load(port, (post(f"number-{number}") for number in range(50)), 60, connections=4)
    answers = {number: read(answer) for number, answer in found.answers}
    assert {number: answer.body for number, answer in answers.items()} == {n: b"number-%d" % n for n in range(50)}
    assert all(("x-path", f"/number-{number}") in answer.headers for number, answer in answers.items())
    assert len(found.latencies) == 50


def test_a_slice_ends_when_its_time_is_over(port):
    assert len(load(port, repeat(post("again")), 0, connections=3).answers) == 3
    assert load(port, cycle([post("again")]), 0.01, connections=1).seconds >= 0.01


@pytest.fixture
def counted(db: None) -> Iterator[tuple[Counter, psycopg.Connection]]:
    """A counter, and a connection to the tests' database through it."""
    connection.ensure_connection()
    server = connection.connection.info
    if not server.host.startswith("/"):
        pytest.skip("the server that DATABASE_URL names is not reached over a Unix socket")
    target = Path(server.host) / f".s.PGSQL.{server.port}"
    with TemporaryDirectory(prefix="latchkey-") as folder, counting(Path(folder) / target.name, target) as counter:
        parameters = {**server.get_parameters(), "host": folder}
        with psycopg.connect(**parameters, password=server.password, autocommit=True) as session:
            yield counter, session


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("values", [None, [1]], ids=["simple", "extended"])
def test_a_statement_is_one_round_trip(counted, values):
    counter, session = counted
    before = counter.statements, counter.round_trips
    session.execute("SELECT 1" if values is None else "SELECT %s", values)
    assert (counter.statements, counter.round_trips) == (before[0] + 1, before[1] + 1)


@pytest.mark.only_on("postgresql")
def test_the_begin_and_the_commit_of_a_transaction_count_too(counted):
    counter, session = counted
    before = counter.statements, counter.round_trips
    with session.transaction():
        session.execute("SELECT generate_series(1, 20000)")
    assert (counter.statements, counter.round_trips) == (before[0] + 3, before[1] + 3)
