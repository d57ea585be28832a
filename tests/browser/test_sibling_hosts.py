"""An attacker who controls a sibling host sets cookies for the whole site. They have no effect."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import expect

from tests.browser.sites import UNBOUND, Site
from tests.browser.steps import ACCESS, fill_in, sign_out

CSRF, SESSION = "__Host-csrf", "__Host-session"
BLANKS = ["\u2000".encode(), "\u00a0".encode(), b"\xa0", b"\x85"]


class Evil(BaseHTTPRequestHandler):
    """Sets cookies for the site with the names of all our cookies, with and without a blank before the name."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def end_headers(self) -> None:
        for name in (ACCESS, CSRF, SESSION):
            for blank in [b"", *BLANKS]:
                # `send_header` takes text, and some of these bytes are not text.
                line = b"Set-Cookie: %s%s=tossed; Domain=example.test; Path=/; Secure\r\n"
                self._headers_buffer.append(line % (blank, name.encode()))
        super().end_headers()

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def sibling(certificate) -> Iterator[str]:
    """The origin of a host of the same site that an attacker controls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"https://evil.example.test:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def site(sites) -> Site:
    """A site on a host that has a sibling. For the host of the other sites, this attacker could set no cookies."""
    return sites("auth.example.test", **UNBOUND)


@pytest.mark.chromium_only("which of these cookies a browser keeps is its own")
def test_cookies_with_names_like_ours_have_no_effect(page, context, site, person, sibling):
    tab = context.new_page()
    page.goto("/sign-in")
    tab.goto(sibling)
    kept = [found for found in context.cookies() if found.get("value") == "tossed"]
    # Chromium keeps the cookies whose names start with a blank. If it stops doing so, this test proves nothing.
    assert len(kept) == 3 * len(BLANKS)
    fill_in(page, person)  # Sends the CSRF token of our cookie, not of the attacker's.
    expect(page.get_by_text(person.email).first).to_be_visible()
    tab.goto(sibling)
    page.goto("/")
    expect(page.get_by_text(person.email).first).to_be_visible()
    sign_out(page)
    expect(page).to_have_url(f"{site.origin}/signed-out")
