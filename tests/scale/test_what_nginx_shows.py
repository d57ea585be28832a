"""nginx of `deploy/` names no version and answers no TRACE request."""

from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.browser.proxies import reserved_port
from tests.browser.sites import Certificate
from tests.scale.cluster import front_started


class Node(BaseHTTPRequestHandler):
    """Stands for both nodes, and names its own version, as `http.server` does."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 204), ("GET", "/metrics", 404), ("TRACE", "/", 405)]
)
def test_no_answer_names_a_version_or_repeats_a_request(method, path, status, tmp_path):
    with (
        reserved_port() as https,
        ThreadingHTTPServer(("127.0.0.1", 0), Node) as node,
        front_started(tmp_path, Certificate(tmp_path), https, node.server_port, node.server_port) as front,
    ):
        Thread(target=node.serve_forever, daemon=True).start()
        with closing(front.connect()) as connection:
            connection.request(method, path, headers={"X-Canary": "canary"})
            response = connection.getresponse()
            text = response.read()
        node.shutdown()
    assert (response.status, response.headers.get_all("Server")) == (status, ["nginx"])
    assert b"canary" not in text
    assert b"nginx/" not in text
