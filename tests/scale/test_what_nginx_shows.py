"""nginx of `deploy/` names no version, answers no TRACE request, and says how long a request took."""

import re
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.browser.proxies import reserved_port
from tests.browser.sites import Certificate
from tests.scale.cluster import Front, front_started


class Node(BaseHTTPRequestHandler):
    """Stands for both nodes. It names its own version, as `http.server` does, and what nginx says of the request."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.send_header("Said", str(self.headers.get_all("X-Request-Time")))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx as it is deployed, in front of a small server. Without nginx, nobody would see what nginx adds."""
    folder = tmp_path_factory.mktemp("nginx")
    with reserved_port() as https, ThreadingHTTPServer(("127.0.0.1", 0), Node) as node:
        Thread(target=node.serve_forever, daemon=True).start()
        with front_started(folder, Certificate(folder), https, node.server_port, node.server_port) as found:
            yield found
        node.shutdown()


def ask(front: Front, method: str, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    with closing(front.connect()) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 204), ("GET", "/metrics", 404), ("TRACE", "/", 405)],
    ids=["a page", "the metrics", "a method that repeats the request"],
)
def test_no_answer_names_a_version_or_repeats_a_request(method, path, status, front):
    response, text = ask(front, method, path, **{"X-Canary": "canary"})
    assert (response.status, response.headers.get_all("Server")) == (status, ["nginx"])
    assert b"canary" not in text
    assert b"nginx/" not in text


def test_nginx_says_how_long_a_request_took_and_a_client_cannot(front):
    response, _ = ask(front, "GET", "/", **{"X-Request-Time": "99.000"})
    assert re.fullmatch(r"\['[0-8]\.[0-9]{3}'\]", response.headers["Said"])
