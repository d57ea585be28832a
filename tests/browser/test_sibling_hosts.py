"""A sibling host that was taken over sets cookies for the whole site: what a browser keeps, and what comes of it."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Jar, Sites
from tests.browser.sites import Certificate, Site
from tests.browser.steps import ACCESS

HOST, SIBLING = "auth.example.test", "evil.example.test"
CSRF, SESSION = "__Host-csrf", "__Host-session"
BLANKS = ["\u2000".encode(), "\u00a0".encode(), b"\xa0", b"\x85"]


class Evil(BaseHTTPRequestHandler):
    """Sets the names of all our cookies, as they are and behind a blank, for the site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def end_headers(self) -> None:
        for name in (ACCESS, CSRF, SESSION):
            for blank in [b"", *BLANKS]:
                # Not `send_header`: it takes text, and some of these are none.
                line = b"Set-Cookie: %s%s=tossed; Domain=example.test; Path=/; Secure\r\n"
                self._headers_buffer.append(line % (blank, name.encode()))  # type: ignore[attr-defined]
        super().end_headers()

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def sibling(certificate: Certificate) -> Iterator[str]:
    """The origin of a host of the same site that belongs to somebody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"https://{SIBLING}:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def site(sites: Sites) -> Site:
    return sites(HOST)


@pytest.fixture
def context(jar: Jar, site: Site) -> BrowserContext:
    return jar(base_url=site.origin)


def test_cookies_that_are_named_like_ours_change_nothing(page, context, site, sibling):
    person, tab = site.new_person(), context.new_page()
    page.goto("/sign-in")
    tab.goto(sibling)
    kept = [found for found in context.cookies() if found.get("value") == "tossed"]
    # All but those without a blank. If Chromium stops keeping the others, this is a test of nothing.
    assert len(kept) == 3 * len(BLANKS)
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()  # With the token of our cookie, not of the tossed one.
    expect(page.get_by_text(person.email).first).to_be_visible()
    tab.goto(sibling)
    page.goto("/")
    expect(page.get_by_text(person.email).first).to_be_visible()
    page.get_by_role("button", name="Sign out").first.click()
    expect(page).to_have_url(f"{site.origin}/signed-out")
