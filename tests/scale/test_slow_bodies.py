"""Clients that send a body one byte at a time hold connections of nginx, and no thread of a node.

The two nodes have 16 threads. Without a proxy that collects bodies, 16 such clients stop them for as long as they like.
What is limited for one address is tested with addresses that no other test uses.
"""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from threading import Event

from tests.clients.projects import Server
from tests.scale.cluster import DEPLOY, HOST

SLOW, LENGTH = 24, 5000
"""So many slow clients, each with a body of so many bytes."""
BEING_READ, REFUSED = "100", "503"
"""The first status that a client with a body receives: the server reads the body, or it does not want it."""
TEMPLATE = (DEPLOY / "nginx.conf.template").read_text()
AT_A_TIME = int(re.findall(r"limit_conn \w+ (\d+);", TEMPLATE)[0])
AT_ONCE = int(re.findall(r"limit_req .* burst=(\d+) nodelay;", TEMPLATE)[0])
THREADS = 5


class SlowClient:
    """A client that has announced a body. ``status``: the first one that it has received."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        head = f"POST /api/auth/refresh HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {LENGTH}\r\nExpect: 100-continue\r\n\r\n".encode())
        self.received = connection.recv(4096)
        self.status = self.received.split()[1].decode()

    def send_a_byte(self) -> None:
        self._connection.sendall(b" ")


@contextmanager
def slow_clients(at: Server, count: int) -> Iterator[list[SlowClient]]:
    """Within, so many clients have sent a part of their bodies."""
    with ExitStack() as stack:
        clients: list[SlowClient] = []
        for number in range(count):
            connection = stack.enter_context(closing(at.connect()))
            connection.connect() if connection.sock is None else None
            clients.append(client := SlowClient(connection.sock))
            # At once, and again: nginx gives up a body of which nothing arrives for some seconds. It has closed the
            # connection of a refused client.
            for other in clients if number % 10 == 0 else [client]:
                if other.status == BEING_READ:
                    other.send_a_byte()
        yield clients


def test_many_slow_bodies_keep_nobody_from_signing_in_and_refreshing(cluster, account):
    with slow_clients(cluster.front, SLOW) as clients:
        assert [client.status for client in clients] == [BEING_READ] * SLOW
        for _ in cluster.nodes:  # nginx asks them in turn.
            owner = account.browser(cluster.front)
            assert owner.refresh(cluster.front).status == owner.me(cluster.front).status == 200
            for client in clients:
                client.send_a_byte()


def test_one_address_cannot_take_all_connections(cluster, account):
    attacker, neighbour = (cluster.front.reached_from(address) for address in ("127.0.0.2", "127.0.0.3"))
    with slow_clients(attacker, AT_A_TIME + 1) as clients:
        assert [client.status for client in clients] == [BEING_READ] * AT_A_TIME + [REFUSED]
        assert b"Retry-After: 2\r\n" in clients[-1].received
        assert b"Set-Cookie" not in clients[-1].received
        assert account.browser(neighbour).me(neighbour).status == 200
    assert account.browser(attacker).me(attacker).status == 200


def test_one_address_cannot_send_any_number_of_requests(cluster):
    flooder, neighbour = (cluster.front.reached_from(address) for address in ("127.0.0.4", "127.0.0.5"))

    refused = Event()

    def flood(_: int) -> list[int]:
        statuses = []
        with closing(flooder.connect()) as connection:
            while not refused.is_set() and len(statuses) < AT_ONCE:
                statuses.append(ask(connection))
                if statuses[-1] != 200:
                    refused.set()
        return statuses

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = [status for found in pool.map(flood, range(THREADS)) for status in found]
    assert set(statuses) == {200, int(REFUSED)}
    assert statuses.count(200) >= AT_ONCE
    assert ask(neighbour.connect()) == 200


def ask(connection: HTTPConnection) -> int:
    connection.request("GET", "/health/live")
    response = connection.getresponse()
    response.read()
    return response.status
