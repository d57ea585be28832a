"""The settings for Sentry in the guide: the real package sends a report, and the report has no secret."""

import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from gzip import decompress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.docs.blocks import Block, block
from tests.documents import ROOT

SENTRY = block("docs/how-to/errors.md", "# settings.py, with Sentry")
SECRETS = ["a-secret-of-the-query", "a-secret-of-the-body", "a-secret-cookie", "a-local-secret", "a-secret-message"]
FAILS = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from django.conf import settings
from django.test import Client
from django.urls import path

def fails(request):
    local = "a-local-" + "secret"
    raise ValueError("a-secret-" + "message")

urlpatterns = [path("fails", fails)]
settings.ROOT_URLCONF = "__main__"
SENTRY_DSN = sys.argv[1]
exec(sys.stdin.read())
client = Client(raise_request_exception=False)
client.cookies["of-the-site"] = "a-secret-cookie"
client.post("/fails?q=a-secret-of-the-query", {"note": "a-secret-of-the-body"})
sentry_sdk.flush(10)
"""


def runs_blocks() -> list[Block]:
    return [SENTRY]


class Collector(BaseHTTPRequestHandler):
    """Keeps the reports that it is sent, as Sentry's server does."""

    received: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = decompress(body)
        elif self.headers.get("Content-Encoding") == "deflate":
            body = zlib.decompress(body)
        self.server.received.append(body.decode(errors="replace"))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    """A server that takes reports. A replaced function could leave out what the package adds when it sends."""
    server = HTTPServer(("127.0.0.1", 0), Collector)
    server.received = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reported(collector: HTTPServer, block: str) -> str:
    dsn = f"http://key@127.0.0.1:{collector.server_port}/1"
    command = [sys.executable, "-c", FAILS, dsn]
    subprocess.run(command, input=block, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return "\n".join(collector.received)  # type: ignore[attr-defined]


@pytest.mark.long
def test_a_report_names_the_error_and_has_no_secret(collector):
    report = reported(collector, SENTRY.text)
    assert '"type":"ValueError"' in report
    assert [secret for secret in SECRETS if secret in report] == []
    event = json.loads(report.splitlines()[2])
    assert "request" not in event


@pytest.mark.exhaustive
def test_without_these_settings_it_has_them(collector):
    report = reported(collector, "import sentry_sdk\nsentry_sdk.init(SENTRY_DSN)")
    assert {"a-secret-of-the-query", "a-secret-of-the-body", "a-local-secret", "a-secret-message"} <= {
        secret for secret in SECRETS if secret in report
    }
