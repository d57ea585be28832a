"""A server process that all tests of this folder share, and a client of it whose clock a test moves."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latchkey_client import FileStore, LatchkeyAuth
from tests.clients.python.network import Clock, Proxy, proxy_of
from tests.clients.test_verifiers import Auth
from tests.factories import PASSWORD, UserFactory

Start = Callable[[], Auth]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts the server at its first call. The database is not selected before a test begins."""
    started: list[Auth] = []

    def once() -> Auth:
        if not started:
            started.append(Auth(DJANGO_SETTINGS_MODULE="tests.clients.python.settings"))
        return started[0]

    yield once
    for auth in started:
        auth.server.stop()


@pytest.fixture
def server(start: Start) -> Auth:
    """A real server. With one that a test plays, requests that no server understands would go unnoticed."""
    return start()


@pytest.fixture
def proxy(server: Auth) -> Iterator[Proxy]:
    """The proxy between the client and the server. It counts the refreshes, which the server's rows do not."""
    with proxy_of(server.port) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    """The client's clock, which a test moves. By a real one no token would expire, and a missing refresh would pass."""
    return Clock(time.time)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A file in a folder that is not there yet. In one that is there, a store that makes no folder would pass."""
    return FileStore(tmp_path / "own" / "tokens.json")


@pytest.fixture
def auth(proxy: Proxy, store: FileStore, clock: Clock) -> LatchkeyAuth:
    """A client that has signed in, with its tokens in a file. Without tokens each request would be answered 401."""
    found = LatchkeyAuth(proxy.origin, store, clock=clock, sleep=clock.sleep)
    found.sign_in(email=UserFactory().email, password=PASSWORD)
    return found
