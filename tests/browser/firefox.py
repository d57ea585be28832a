"""A real Firefox, driven by Marionette, its own remote protocol.

Playwright drives a Firefox of its own, which is older than the one that users have.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("firefox", "firefox-esr")
PATIENCE = 60
"""Seconds that Firefox may take to start."""


class Firefox:
    """A Firefox with a new profile. It accepts every certificate."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._answers = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # A greeting.
        self._send("WebDriver:NewSession", acceptInsecureCerts=True)

    def goto(self, url: str) -> None:
        self._send("WebDriver:Navigate", url=url)

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Return what a function of JavaScript, or the promise that it returns, gives for this argument."""
        script = (
            f"const done = arguments[1]; Promise.resolve(({function})(arguments[0])).then(done, (e) => done(`${{e}}`))"
        )
        return self._send("WebDriver:ExecuteAsyncScript", script=script, args=[argument])["value"]

    def cookies(self) -> dict[str, str]:
        """Return the values of all cookies of the page, also of those that scripts cannot read."""
        return {found["name"]: found["value"] for found in self._send("WebDriver:GetCookies")}

    def url(self) -> str:
        return str(self._send("WebDriver:GetCurrentURL")["value"])

    def add_authenticator(self) -> None:
        """Add an authenticator in software, which keeps passkeys, and always recognises its user."""
        are = ("hasResidentKey", "hasUserVerification", "isUserConsenting", "isUserVerified")
        kind = {"protocol": "ctap2", "transport": "internal", **dict.fromkeys(are, True)}
        self._send("WebAuthn:AddVirtualAuthenticator", **kind)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _send(self, command: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def _receive(self) -> Any:
        length = b""
        while (byte := self._answers.read(1)) != b":":
            assert byte, "Firefox has closed the connection."
            length += byte
        return json.loads(self._answers.read(int(length)))


@contextmanager
def firefox(profile: Path, *hosts: str) -> Iterator[Firefox]:
    """Run Firefox. ``hosts`` are resolved to this machine."""
    program = next(filter(None, map(shutil.which, PROGRAMS)))
    profile.mkdir()
    preferences = {
        "marionette.port": 0,
        "network.dns.localDomains": ",".join(hosts),
        # The certificate of the tests is not one of Mozilla's, and passkeys need one that is.
        "security.webauthn.allow_with_certificate_override": True,
        "security.webauth.webauthn_enable_softtoken": True,
        "security.webauth.webauthn_enable_usbtoken": False,
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [program, "--no-remote", "--headless", "--marionette", "--profile", profile]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        browser = Firefox(_port(profile / "MarionetteActivePort"))
        yield browser
        browser.close()
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _port(file: Path) -> int:
    """Return the port that Firefox has chosen, and written to this file."""
    until = time.monotonic() + PATIENCE
    while not (file.exists() and (text := file.read_text())):
        assert time.monotonic() < until, "Firefox did not start."
        time.sleep(0.1)
    return int(text)
