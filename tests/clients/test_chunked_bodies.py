"""Bodies, as servers really pass them on: chunks are not taken for an empty body, and a large body is not kept.

No request needs the database.
"""

import http.client
import resource
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

import pytest

from tests.clients.projects import IN_PRODUCTION, clean_environment
from tests.clients.serving import granian, served

pytestmark = pytest.mark.long

MOST_ON_DISK = 3 * 2**20
"""Bytes of a file that the servers may write. A larger one would be an error, which is answered 500."""
NOT_JSON, NO_TOKEN = b"not JSON", b'{"refresh_token": 5}'
AS_SERVICE = f"Basic {b64encode(b'api:secret').decode()}"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of granian with either interface. Each passes on other headers of a chunked body."""
    folder = tmp_path_factory.mktemp("granian")
    variables = clean_environment(
        **IN_PRODUCTION,
        ORIGIN="https://app.test",
        ALLOWED_HOSTS="*",
        DATABASE_URL=f"sqlite:///{folder}/none.sqlite3",
        TOKENS_INTROSPECTION_CLIENTS=f"api:{sha256(b'secret').hexdigest()}",
    )
    with granian(request.param, variables, preexec_fn=_limit_files) as address:
        yield port_of(address)


def _limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_ON_DISK, MOST_ON_DISK))


def post_in_chunks(port: int, path: str, body: bytes, kind: str = JSON) -> tuple[int, bytes]:
    """Send the body in chunks of 7 bytes to 8 KB, and return the status and the body of the response."""
    size = max(7, min(len(body) // 3, 8192))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {AS_SERVICE}\r\n"
    head += f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        # At once: a server that refuses the request closes the connection while http.client is sending.
        connection.sendall(head.encode() + chunks)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(NOT_JSON, 400, b'"malformed"', id="not JSON"),
        pytest.param(NO_TOKEN, 400, b'"invalid"', id="no refresh token"),
        pytest.param(b" " * 70_000, 413, b'"payload_too_large"', id="larger than the limit"),
    ],
)
def test_a_sign_out_reads_them(port, body, status, code):
    found, answer = post_in_chunks(port, "/api/auth/logout", body)
    assert (found, code in answer) == (status, True)


def test_introspection_reads_them(port):
    assert post_in_chunks(port, "/api/auth/introspect", b"token=unknown", FORM) == (200, b'{"active":false}')


@pytest.mark.parametrize("framing", ["Content-Length: 300000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/sign-in", "/nothing", "/api/auth/login"])
def test_a_large_upload_is_answered_before_it_has_arrived(port, path, framing):
    """The CSRF cookie and the Origin are valid, so that Django's CSRF check reads the form. The end never comes."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{framing}\r\n"
    head += f"Origin: https://app.test\r\nCookie: __Host-csrf={'a' * 32}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 2**20
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        with suppress(OSError):  # The server closes the connection.
            for _ in range(1 if "Length" in framing else 20):
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part) if "chunked" in framing else part)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, b'"payload_too_large"' in response.read()) == (413, True)


def test_a_server_that_does_not_pass_them_on_is_answered_for_with_411():
    with served() as address:  # The server of Python's library does not decode chunks.
        port = port_of(address)
        status, answer = post_in_chunks(port, "/api/auth/logout", NO_TOKEN)
        assert (status, b'"length_required"' in answer) == (411, True)
        assert post_in_chunks(port, "/sign-in", b"a=b", FORM)[0] == 411
