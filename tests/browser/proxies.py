"""nginx in front of a site, as in production, with a configuration that belongs to the test."""

import getpass
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.sites import Certificate


@contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a port: it is known before a server listens there, and no other process gets it when the server stops."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def nginx_started(configuration: Path, folder: Path, certificate: Certificate, **filled: int) -> Iterator[None]:
    """Run nginx. ``filled``: the words in capitals in its configuration. ``folder``: where it may write."""
    text = configuration.read_text()
    words = {"USER": getpass.getuser(), "CERTIFICATE": certificate.path, "KEY": certificate.key_path, **filled}
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", str(value), text)
    (folder / "nginx.conf").write_text(text)
    with nginx_running(folder):
        yield


@contextmanager
def nginx_running(folder: Path) -> Iterator[None]:
    """Run nginx with the configuration in this folder. It goes into the background as soon as it listens."""
    assert shutil.which("nginx"), "nginx is not installed. These tests run it as a proxy: apt-get install nginx-light."
    command = ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    subprocess.run(command, check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run([*command, "-s", "stop"], check=True, timeout=60)
