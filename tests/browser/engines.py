"""The browsers that the tests run in, and what they assume of one: the option ``--engine``.

========  ==========================================  ==============================================================
chromium  Debian's Chromium, driven by Playwright     all tests
firefox   Debian's Firefox, driven by Playwright      all but those that assume Chromium
webkit    WebKitGTK, driven by its WebDriver          those of the session client, as far as WebDriver can do their
          (`tests.browser.webkit`)                    steps
========  ==========================================  ==============================================================
"""

import shutil
from typing import Any

import pytest

CHROMIUM, FIREFOX, WEBKIT = "chromium", "firefox", "webkit"
ENGINES = (CHROMIUM, FIREFOX, WEBKIT)
PROGRAMS = {CHROMIUM: ("chromium",), FIREFOX: ("firefox", "firefox-esr"), WEBKIT: ("WebKitWebDriver",)}
PACKAGES = {CHROMIUM: "chromium", FIREFOX: "firefox-esr", WEBKIT: "webkit2gtk-driver"}
SITES = "app.test", "app.example.org", "auth.example.org", "app.example.test", "auth.example.test", "evil.test"
"""The hosts of the tests, which Firefox is told one by one."""
WITH_KEYS = "--enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
"""Lets Chromium bind sessions to keys in software. Both features are disabled on Linux, and both are needed."""
FLAGS = (
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.example.org 127.0.0.1"),
)


def program_of(engine: str) -> str:
    """Return the path of the engine's program. Fail the test if it is not installed."""
    path = next(filter(None, map(shutil.which, PROGRAMS[engine])), None)
    if path is None:
        pytest.fail(f"{engine} is not installed. These tests run it: apt-get install {PACKAGES[engine]}.")
    return path


def launch_options(engine: str, spki: str) -> dict[str, Any]:
    """Return how Playwright starts the distribution's browser, so that it resolves ``*.test`` to this machine.

    ``spki``: the digest of the certificate that Chromium accepts.
    """
    path = program_of(engine)
    if engine == FIREFOX:
        return {
            "channel": "moz-firefox",
            "executable_path": path,
            "firefox_user_prefs": {"network.dns.localDomains": ",".join(SITES)},
        }
    return {
        "executable_path": path,
        "args": [*FLAGS, f"--ignore-certificate-errors-spki-list={spki}"],
        "chromium_sandbox": False,
        # Playwright disables the back-forward cache. Users have it.
        "ignore_default_args": ["--disable-back-forward-cache"],
    }
