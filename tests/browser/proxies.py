"""nginx in front of a site, as people put it there: it speaks TLS and HTTP/2, and keeps what it may, and more."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.sites import Certificate

SECONDS = 10
"""How long nginx may take until it listens."""

CONFIGURATION = """
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path temp/body; proxy_temp_path temp/proxy; fastcgi_temp_path temp/a; uwsgi_temp_path temp/b;
  scgi_temp_path temp/c;
  proxy_cache_path cache keys_zone=greedy:1m;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {certificate.path};
    ssl_certificate_key {certificate.key_path};
    location / {{
      proxy_pass https://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      # Greedy: one entry for everybody, kept for long where nobody forbids it, whatever cookies it sets or varies by.
      proxy_cache greedy;
      proxy_cache_key $request_uri;
      proxy_cache_valid any 10m;
      proxy_ignore_headers Set-Cookie Vary;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""


def free_port() -> int:
    """A port that nobody listens on, for a program that has to be told one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def proxied(folder: Path, certificate: Certificate, port: int, upstream: int) -> Iterator[None]:
    """Run nginx on ``port``, in front of the site on the port ``upstream``."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.fail("nginx is not installed. These tests put it in front: apt-get install nginx-light.")
    (folder / "temp").mkdir(parents=True)
    text = CONFIGURATION.format(port=port, certificate=certificate, upstream=upstream)
    (folder / "nginx.conf").write_text(text)
    with subprocess.Popen([program, "-p", folder, "-c", "nginx.conf", "-g", "user root;"]) as process:
        try:
            _wait_until_it_listens(process, port)
            yield
        finally:
            process.terminate()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nginx does not start.")
