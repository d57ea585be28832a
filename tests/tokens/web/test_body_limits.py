"""Bodies that are larger than BODY_LIMITS allows: they are answered 413, and nothing keeps them."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import Client

from tests.browsers import login
from tests.tokens.web_steps import EXPIRED, cleared, set_by
from tokens.conf.body_limits import DEFAULT, BodyLimits, read
from tokens.models import RefreshToken
from tokens.web.bodies import BodyLimit

HTML, JSON = {"Accept": "text/html,*/*;q=0.8"}, {"Accept": "application/json"}
KINDS = ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "application/octet-stream"]
CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input_terminated": True}


class Unread(BytesIO):
    """A body that nobody may read. Reading it would be noticed as a 500."""

    def read(self, *size: Any) -> bytes:
        raise AssertionError("The body was read.")


def declared(client: Client, path: str, length: int, kind: str = KINDS[0], **more: Any) -> Any:
    """Send a request whose headers say this length, with a body that nobody may read."""
    unread = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(length), "CONTENT_TYPE": kind}
    return client.generic("POST", path, **{**unread, **more})


class TestABodyWhoseLengthIsTooLarge:
    @pytest.mark.parametrize("path", ["/sign-in", "/nothing", "/admin/login/", "/api/auth/login", "/.well-known/x"])
    def test_is_answered_before_it_is_read(self, browser, path):
        for kind in KINDS:
            response = declared(browser, path, DEFAULT + 1, kind, headers=JSON)
            assert (response.status_code, response.json()["code"]) == (413, "payload_too_large"), kind

    def test_is_answered_with_a_page_for_a_person(self, browser):
        response = declared(browser, "/sign-in", DEFAULT + 1, headers=HTML)
        assert (response.status_code, response["Content-Type"]) == (413, "text/html; charset=utf-8")
        assert "Content-Security-Policy" in response.headers

    def test_leaves_a_line_in_the_log_that_names_the_setting(self, browser, settings, caplog):
        settings.TOKENS = {"BODY_LIMITS": {"/files/": 500}}
        declared(browser, "/files/x", 501)
        assert 'event="body too large" bytes=501 limit=500 setting=BODY_LIMITS' in caplog.text

    def test_is_answered_so_for_a_method_that_has_no_body_as_a_rule(self, browser):
        assert declared(browser, "/sign-in", DEFAULT + 1, REQUEST_METHOD="GET").status_code == 413

    def test_has_a_limit_of_its_own_on_a_path_that_stores_large_files(self, browser, settings):
        settings.TOKENS = {"BODY_LIMITS": {"/files/": 500, "/files/all/": "off"}}
        status = {
            (path, length): declared(browser, path, length, KINDS[2]).status_code
            for path, length in [("/files/x", 501), ("/files/x", 500), ("/files/all/x", 10**12), ("/filesx", 501)]
        }
        assert list(status.values()) == [413, 404, 404, 404]


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
def test_a_request_with_too_large_a_body_refreshes_nothing(clock, user, browser):
    """The server may close the connection before the client has read the new tokens."""
    login(browser, user)
    clock.forward(EXPIRED)
    response = declared(browser, "/sign-out", DEFAULT + 1)
    assert (response.status_code, set_by(response), cleared(response)) == (413, set(), set())
    assert RefreshToken.objects.get().generation == 0
    assert not declared(browser, "/sign-out", DEFAULT + 1).wsgi_request.user.is_authenticated
    assert (browser.get("/").status_code, RefreshToken.objects.get().generation) == (200, 1)


class TestABodyOfUnknownLength:
    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_is_read_by_a_view_up_to_the_limit_and_no_further(self, settings, method):
        settings.ROOT_URLCONF = "tests.tokens.web.body_urls"
        settings.TOKENS = {"BODY_LIMITS": {"/upload": 3000}}
        for size, status in ((3000, 200), (3001, 413)):
            body = {**CHUNKED, "wsgi.input": BytesIO(b"x" * size * 2 if status == 413 else b"x" * size)}
            assert Client().generic(method, "/upload", CONTENT_TYPE=KINDS[2], **body).status_code == status
            assert body["wsgi.input"].tell() == size

    @pytest.mark.parametrize("kind", KINDS[:2])
    def test_of_a_form_is_not_kept_if_django_has_no_limit(self, settings, kind):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
        endless = BytesIO(b"x" * (DEFAULT + 5000))
        response = Client().generic("POST", "/sign-in", CONTENT_TYPE=kind, **CHUNKED, **{"wsgi.input": endless})
        assert (response.status_code, endless.tell()) == (413, DEFAULT + 1)


class Upload:
    """An ASGI server that has got ``pieces`` of a body. It counts what Django asks for, and keeps the response."""

    def __init__(self, pieces: list[bytes], *headers: tuple[bytes, bytes], path: str = "/sign-in") -> None:
        self.scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "scheme": "https"}
        self.scope["headers"] = [(b"host", b"testserver"), (b"accept", b"text/html"), *headers]  # type: ignore[assignment]
        self.passed_on, self.sent = 0, dict[str, Any]()
        self._pieces = self._all(pieces)

    async def _all(self, pieces: list[bytes]) -> AsyncIterator[dict[str, Any]]:
        for piece in pieces:
            yield {"type": "http.request", "body": piece, "more_body": True}
        yield {"type": "http.request"}
        await asyncio.Event().wait()  # The client stays connected.

    async def _receive(self) -> dict[str, Any]:
        return await anext(self._pieces)

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.update(message)

    def answer(self) -> tuple[int, dict[bytes, bytes]]:
        """Return the status and the headers of the response."""
        django = ASGIHandler()

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            async def counted() -> Any:
                message = await receive()
                self.passed_on += len(message.get("body", b""))
                return message

            await django(scope, counted, send)

        asyncio.run(BodyLimit(counting)(self.scope, self._receive, self._send))
        return self.sent["status"], dict(self.sent["headers"])


class TestUnderAnASGIServer:
    """Django keeps the whole body in a file before any middleware runs."""

    @pytest.mark.parametrize("path", ["/sign-in", "/nothing", "/admin/login/"])
    def test_no_more_than_the_limit_reaches_django(self, path):
        upload = Upload([b"x" * 2**16] * 100, path=path)
        status, headers = upload.answer()
        assert (status, headers[b"Content-Type"]) == (413, b"text/html; charset=utf-8")
        assert b"Content-Security-Policy" in headers
        assert upload.passed_on <= DEFAULT

    def test_a_declared_length_that_is_too_large_lets_nothing_reach_django(self):
        upload = Upload([b"x" * 2**16] * 100, (b"content-length", b"%d" % (100 * 2**16)))
        assert (upload.answer()[0], upload.passed_on) == (413, 0)

    def test_a_path_that_stores_large_files_gets_all_of_them(self, settings):
        settings.TOKENS = {"BODY_LIMITS": {"/files/": 100 * 2**16}}
        upload = Upload([b"x" * 2**16] * 100, path="/files/x")
        assert (upload.answer()[0], upload.passed_on) == (404, 100 * 2**16)
        assert Upload([b"x" * 2**16] * 101, path="/files/x").answer()[0] == 413

    def test_the_prefix_of_the_site_does_not_belong_to_the_path(self, settings):
        settings.TOKENS = {"BODY_LIMITS": {"/files/": 10}}
        upload = Upload([b"x" * 11], path="/site/files/x")
        upload.scope["root_path"] = "/site"
        assert upload.answer()[0] == 413

    def test_a_web_socket_is_left_alone(self):
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope, receive, send))

        asyncio.run(BodyLimit(app)({"type": "websocket"}, 1, 2))  # type: ignore[arg-type]
        assert seen == [({"type": "websocket"}, 1, 2)]


def test_the_longest_beginning_of_a_path_counts():
    limits = read({"/a/": 1, "/a/b": 2, "/a/b/": "off"})
    found = {path: limits.of(path) for path in ("/", "/a", "/a/", "/a/bc", "/a/b/c", "*")}
    assert found == {"/": DEFAULT, "/a": DEFAULT, "/a/": 1, "/a/bc": 2, "/a/b/c": None, "*": DEFAULT}
    assert read({}) == BodyLimits()
