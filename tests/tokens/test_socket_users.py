"""Web sockets by `TokenAuthMiddleware`, with Channels, and once behind a real server."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import channels.db
import pytest
import uvicorn
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.db import OperationalError
from django.test import Client
from django.urls import path
from django.utils import timezone
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.browsers import ACCESS, SESSION, login, post
from tests.factories import UserFactory
from tests.tokens import test_user_models
from tests.tokens.test_user_models import banned
from tests.tokens.web import django_session_urls
from tests.tokens.web_steps import EXPIRED, raising, signed_in_as, unsigned
from tokens import sockets
from tokens.models import RefreshToken
from tokens.service import queries
from tokens.service.revocation import revoke
from tokens.service.revocation_feed import feed
from tokens.sockets import FORBIDDEN, SESSION_ENDED, TRY_AGAIN, TokenAuthMiddleware

pytestmark = [pytest.mark.django_db, pytest.mark.urls(django_session_urls.__name__), pytest.mark.at_length_on("sqlite")]

PATIENCE = 60
"""Seconds after which a test fails that waits for a message."""
HERE = "https://testserver"
FOREIGN = {
    "another site": "https://evil.example.org",
    "a sibling host": "https://other.testserver",
    "another port": "https://testserver:444",
    "http": "http://testserver",
    "no origin": "null",
}


class Echo(AsyncJsonWebsocketConsumer):
    """Says who has opened it, then answers each message. It notes the code with which it was disconnected."""

    left: list[int] = []

    async def connect(self) -> None:
        await self.accept()
        auth, pk = self.scope["auth"], self.scope["user"].pk
        await self.send_json({"pk": pk and str(pk), "sid": auth and str(auth.session_id)})

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.send_json(content)

    async def disconnect(self, code: int) -> None:
        self.left.append(code)


APPLICATION = ProtocolTypeRouter({"websocket": TokenAuthMiddleware(URLRouter([path("socket", Echo.as_asgi())]))})


@pytest.fixture(autouse=True)
def _channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what other tests have noted. Let Channels keep the connection of the test, which it would close."""
    Echo.left = []
    monkeypatch.setattr(channels.db, "close_old_connections", lambda **options: None)


class Socket(ApplicationCommunicator):
    """A client of an application, without a server. Channels' own needs Daphne."""

    def __init__(self, application: Any, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(application, {"type": "websocket", "path": "/socket", "headers": headers})

    async def connect(self) -> int | None:
        """Send the handshake. Return the code with which it is refused, or None."""
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(timeout=PATIENCE)
        return None if answer["type"] == "websocket.accept" else answer["code"]

    async def read(self) -> Any:
        return json.loads((await self.receive_output(timeout=PATIENCE))["text"])

    async def write(self, content: Any) -> None:
        await self.send_input({"type": "websocket.receive", "text": json.dumps(content)})

    async def leave(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(timeout=PATIENCE)


def headers_of(client: Client | None, origin: str | None = HERE, **more: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a handshake by this browser. Each cookie has a header of its own, as HTTP/2 allows."""
    found = [("cookie", f"{name}={cookie.value}") for name, cookie in client.cookies.items()] if client else []
    found += [("origin", origin)] if origin else []
    found += [(name.lower(), value) for name, value in more.items()]
    return [(name.encode(), value.encode()) for name, value in found]


def of(user: Any) -> Any:
    return type(user).objects.filter(pk=user.pk)


def opened(headers: list[tuple[bytes, bytes]], application: Any = APPLICATION) -> Any:
    """Open a socket. Return what it says, or the code with which the handshake is refused."""

    async def run() -> Any:
        socket = Socket(application, headers)
        if (code := await socket.connect()) is not None:
            return code
        said = await socket.read()
        await socket.leave()
        return said

    return async_to_sync(run)()


NOBODY = {"pk": None, "sid": None}


class TestAHandshake:
    def test_has_the_user_of_the_cookies(self, signed_in, user, django_assert_num_queries):
        session = RefreshToken.objects.get()
        with django_assert_num_queries(1):
            assert opened(headers_of(signed_in)) == {"pk": str(user.pk), "sid": str(session.id)}

    def test_has_the_user_of_a_sign_in_by_django(self, api, user):
        api.get(f"/probe/sign-in/{user.email}")
        assert opened(headers_of(api))["pk"] == str(user.pk)

    def test_has_the_user_of_a_bearer_token_whatever_the_cookies_and_the_origin(self, signed_in, another, both_modes):
        other = UserFactory()
        token = login(another(), other, mode="body")["access_token"]
        for origin in (HERE, None, *FOREIGN.values()):
            assert opened(headers_of(signed_in, origin, authorization=f"Bearer {token}"))["pk"] == str(other.pk)
        assert opened(headers_of(signed_in, authorization=f"Bearer {unsigned()}")) == NOBODY

    def test_has_the_user_of_the_cookies_beside_a_foreign_bearer_token(self, signed_in, user):
        assert opened(headers_of(signed_in, authorization="Bearer nonsense"))["pk"] == str(user.pk)

    @pytest.mark.parametrize("origin", FOREIGN)
    def test_by_cookie_from_another_origin_is_refused(self, clock, signed_in, origin):
        for more in ({}, {"authorization": "Bearer nonsense"}):
            assert opened(headers_of(signed_in, FOREIGN[origin], **more)) == FORBIDDEN
        assert opened(headers_of(None, FOREIGN[origin])) == NOBODY
        clock.forward(EXPIRED)
        assert opened(headers_of(signed_in, FOREIGN[origin])) == FORBIDDEN

    def test_from_another_origin_gets_no_session_of_django_either(self, clock, signed_in):
        signed_in.cookies.pop(ACCESS)
        assert SESSION in signed_in.cookies
        for origin in FOREIGN.values():
            assert opened(headers_of(signed_in, origin)) == FORBIDDEN

    def test_from_a_trusted_origin_or_from_no_browser_is_accepted(self, signed_in, user, settings):
        settings.TOKENS = {"TRUSTED_ORIGINS": ["https://app.example.org"]}
        for origin in (None, "https://app.example.org"):
            assert opened(headers_of(signed_in, origin))["pk"] == str(user.pk)

    def test_with_an_expired_access_token_has_no_user_and_refreshes_nothing(self, clock, signed_in):
        clock.forward(EXPIRED)
        assert (opened(headers_of(signed_in)), RefreshToken.objects.get().generation) == (NOBODY, 0)

    def test_after_the_end_of_the_session_has_no_user_at_once(self, clock, signed_in):
        revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF)
        feed.__init__(monotonic=lambda: float("-inf"))  # This process has not heard of it.
        assert opened(headers_of(signed_in)) == NOBODY

    def test_of_a_deactivated_user_has_no_user(self, signed_in, user):
        of(user).update(is_active=False)
        assert opened(headers_of(signed_in)) == NOBODY

    def test_while_the_database_is_down_is_refused_for_now(self, signed_in, monkeypatch):
        monkeypatch.setattr(queries, "session_of", raising(OperationalError))
        assert opened(headers_of(signed_in)) == TRY_AGAIN

    def test_sees_djangos_session_of_the_same_user_only(self, engine, signed_in):
        def seen(browser: Client) -> Any:
            # Channels reads one header only.
            text = "; ".join(f"{name}={cookie.value}" for name, cookie in browser.cookies.items())
            return opened(headers_of(None, cookie=text), SessionMiddlewareStack(TokenAuthMiddleware(_see_session)))

        signed_in.get("/probe/store/mine")
        assert seen(signed_in) == {"note": "mine"}
        other = signed_in_as(UserFactory())
        other.cookies["__Host-session"] = signed_in.cookies["__Host-session"].value
        assert seen(other) == {"note": None}


async def _see_session(scope: Any, receive: Any, send: Any) -> None:
    class Seeing(Echo):
        async def connect(self) -> None:
            await self.accept()
            await self.send_json({"note": await self.scope["session"].aget("note")})

    await Seeing.as_asgi()(scope, receive, send)


class TestAnOpenSocket:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The revocation feed is always due. With its real lag each test here would wait for a second."""
        monkeypatch.setattr(type(feed), "seconds_until_due", lambda self: 0.0)
        monkeypatch.setattr(type(feed), "_may_ask", lambda self, now: True)

    def run(self, client: Client, act: Callable[[], Any], then: str = "close") -> Any:
        """Open a socket, act, and return the code of its end, or what it echoes if it stays open."""

        async def steps() -> Any:
            socket = Socket(APPLICATION, headers_of(client))
            await socket.connect()
            await socket.read()
            await sockets.sync_to_async(act)()
            if then == "close":
                message = await socket.receive_output(timeout=PATIENCE)
                await socket.wait(timeout=PATIENCE)
                return message
            for number in range(3):  # Several looks at the sockets pass.
                await asyncio.sleep(2 * sockets.LEAST_WAIT)
                await socket.write(number)
                assert await socket.read() == number
            await socket.leave()
            return None

        return async_to_sync(steps)()

    CLOSED: dict[str, Callable[[Any], Any]] = {
        "its session is ended": lambda user: revoke(RefreshToken.objects.all(), RefreshToken.Reason.ENDED_BY_STAFF),
        "it is signed out": lambda user: revoke(RefreshToken.objects.all(), RefreshToken.Reason.SIGNED_OUT),
        "its user is deactivated by SQL": lambda user: of(user).update(is_active=False),
        "its user is deleted": lambda user: user.delete(),
    }

    @pytest.mark.parametrize("act", CLOSED.values(), ids=CLOSED)
    def test_is_closed_when(self, signed_in, user, act):
        assert self.run(signed_in, lambda: act(user)) == {"type": "websocket.close", "code": SESSION_ENDED}
        assert Echo.left == [SESSION_ENDED]

    def test_is_closed_when_its_session_expires(self, signed_in, monkeypatch):
        late = timezone.now() + timedelta(days=31)
        monkeypatch.setattr(queries, "ends_of_live", lambda ids: {})
        self.run(signed_in, lambda: monkeypatch.setattr(sockets.timezone, "now", lambda: late))
        assert Echo.left == [SESSION_ENDED]

    def test_goes_on_when_its_session_is_used_meanwhile(self, signed_in, monkeypatch):
        late = timezone.now() + timedelta(days=31)
        monkeypatch.setattr(queries, "ends_of_live", lambda ids: dict.fromkeys(ids, late + timedelta(days=1)))
        self.run(signed_in, lambda: monkeypatch.setattr(sockets.timezone, "now", lambda: late), then="go on")

    def test_goes_on_when_another_session_ends(self, signed_in, user, another):
        login(another(), user)
        own = RefreshToken.objects.order_by("created_at").first()
        assert own is not None
        others = RefreshToken.objects.exclude(id=own.id)
        self.run(signed_in, lambda: revoke(others, RefreshToken.Reason.ENDED_BY_USER) and None, then="go on")

    def test_goes_on_while_the_database_does_not_answer(self, signed_in, monkeypatch):
        no_answer = raising(OperationalError)
        self.run(signed_in, lambda: monkeypatch.setattr(type(feed), "is_revoked", no_answer), then="go on")

    def test_is_closed_while_the_database_does_not_answer_if_the_project_is_strict(self, signed_in, monkeypatch):
        no_answer = raising(sockets.FeedUnavailable)
        message = self.run(signed_in, lambda: monkeypatch.setattr(type(feed), "is_revoked", no_answer))
        assert message["code"] == TRY_AGAIN

    @pytest.fixture
    def bans(self, settings: Any) -> None:
        """A backend with rules of its own decides who may act. They write nothing that could be heard of."""
        settings.AUTHENTICATION_BACKENDS = [f"{test_user_models.HERE}.Bans"]
        banned.clear()

    def test_is_closed_when_its_user_is_banned(self, bans, signed_in, user):
        self.run(signed_in, lambda: banned.add(user.pk))
        assert Echo.left == [SESSION_ENDED]

    def test_goes_on_when_another_user_is_banned(self, bans, signed_in):
        self.run(signed_in, lambda: banned.add(UserFactory().pk), then="go on")

    def test_goes_on_when_the_rule_fails(self, bans, signed_in, monkeypatch):
        fails = raising(RuntimeError)
        self.run(signed_in, lambda: monkeypatch.setattr(test_user_models.Bans, "get_user", fails), then="go on")


@pytest.fixture
def served() -> Iterator[str]:
    """The address of a real server with the application. Without it nobody would see how a server closes a socket."""
    server = uvicorn.Server(uvicorn.Config(APPLICATION, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    (bound,) = (socket.getsockname() for listening in server.servers for socket in listening.sockets)
    yield f"ws://127.0.0.1:{bound[1]}/socket"
    server.should_exit = True
    thread.join(30)


@pytest.mark.django_db(transaction=True)
def test_behind_a_real_server_a_socket_is_closed_within_the_lag(served, signed_in, user):
    headers = {"Cookie": f"{ACCESS}={signed_in.cookies[ACCESS].value}"}

    async def steps() -> tuple[str, int, int]:
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(served, additional_headers=headers, origin="https://evil.example.org")
        async with open_socket(served, additional_headers=headers, origin=HERE) as socket:
            said = await socket.recv()
            await socket.send('"still there"')
            assert await socket.recv() == '"still there"'
            await sockets.sync_to_async(post)(signed_in, "/api/auth/logout")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            return str(said), refused.value.response.status_code, closed.value.rcvd.code

    said, refused, closed = async_to_sync(steps)()
    assert (str(user.pk) in said, refused, closed) == (True, 403, SESSION_ENDED)
