"""Web sockets: ASGI middlewares, for Channels and for any other ASGI application, with or without Channels.

A web socket does not pass `tokens.middleware`. In the place of Channels' ``AuthMiddlewareStack``::

    "websocket": TokenAuthMiddleware(URLRouter([...]))

It finds out who opens a socket, and closes the socket when the session ends:

- The access token is verified, and the row of the session is read, once. ``scope["user"]`` is the user, loaded, or
  `AnonymousUser`. ``scope["auth"]`` is the access token, or None. A socket never refreshes: its response may be lost
  without the browser noticing, and its cookies with it. So a page whose access token has expired sends any other
  request first.
- With a Bearer token of ours in the header ``Authorization``, cookies are ignored, as in `tokens.web.incoming`.
- Cookies count only for a page of our own origin or of a trusted one, or for a client that is no browser. Browsers let
  every page open a socket with the user's cookies (CWE-1385), so any other handshake with an access cookie is answered
  403.
- An open socket lives as long as its session, and not only as long as its access token. When the session is revoked,
  the user is deactivated or the password is changed, the socket is closed within REVOCATION_LAG. So it is when a rule
  of the project hides or bans the user: the rule is asked once in this time for each user. When the session expires,
  the socket is closed at that time. The client gets the close code `SESSION_ENDED`, and the application
  ``websocket.disconnect``. What the application sends after that is dropped.

A handshake works for the tenant that TENANT_HOOK names. The hook gets a request with the attribute ``scope``. No
middleware of Django has selected the tenant's schema, so TENANT_CONTEXT does it.

One task for each event loop watches all of its sockets. It reads the revocation feed of the process, and asks for the
sessions that may have expired in one query. While the database does not answer, sockets stay open. With
REVOCATION_STRICT they are closed with `TRY_AGAIN`.

`LiveSessionMiddleware` is for projects whose sockets take the user from Django's session.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.db import Error, connections
from django.http import HttpRequest
from django.utils import timezone

from tokens.protocol.access_tokens import AccessToken
from tokens.service import events, queries, user_rules
from tokens.service.revocation_feed import FeedUnavailable, current_feed, feed_of
from tokens.web import handshake, tenants
from tokens.web.django import django_session
from tokens.web.http.problems import DATABASE_DOWN
from tokens.web.lazy_user import primary_key

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[Any]]
SESSION_ENDED = 4401
"""The close code of a socket whose session has ended. The page asks the user to sign in."""
FORBIDDEN = 4403
"""The close code of a handshake from another origin. It is answered 403 before it is accepted."""
TRY_AGAIN = 1013
"""The close code while the database does not answer (IANA, WebSocket Close Code Number Registry)."""
LEAST_WAIT = 0.05
"""Seconds between two looks at all sockets of a process, at least."""


class Refused(Exception):
    """A handshake is refused, with this close code."""

    def __init__(self, code: int) -> None:
        self.code = code


class Opener(NamedTuple):
    """Who opens a socket. ``auth`` is the access token, or None. The row of the session is asked again at ``ends_at``.

    ``backend``: the dotted path of the backend with which the user signed in, if it is known.
    """

    user: Any
    auth: AccessToken | None = None
    ends_at: datetime | None = None
    backend: str = ""


class TokenAuthMiddleware:
    """Sets ``scope["user"]`` and ``scope["auth"]`` of web sockets, and closes them when their session ends."""

    def __init__(self, app: Application) -> None:
        tenants.require_context()
        self.app = app
        self._watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        request = handshake.request_of(scope)
        with tenants.entered(request):
            return await self._open(request, scope, receive, send)

    async def _open(self, request: HttpRequest, scope: Scope, receive: Any, send: Any) -> Any:
        try:
            opener = await sync_to_async(_identify)(request)
        except Refused as refused:
            await send({"type": "websocket.close", "code": refused.code})
            return None
        scope = {**scope, "user": opener.user, "auth": opener.auth}
        if (session := scope.get("session")) is not None and not await sync_to_async(_is_of)(session, opener):
            scope["session"] = _empty_session()
        if opener.auth is None or opener.ends_at is None:
            return await self.app(scope, receive, send)
        watch = self._watches.setdefault(asyncio.get_running_loop(), _Watch())
        socket = _Socket(opener.auth, opener.ends_at, opener.backend, receive, send)
        with watch.of(socket):
            return await self.app(scope, socket.receive, socket.send)


class _Socket:
    """An open socket: what its application receives and sends, until it is closed."""

    def __init__(self, access: AccessToken, ends_at: datetime, backend: str, receive: Any, send: Any) -> None:
        self.session_id, self.subject, self.check_at = access.session_id, access.subject, ends_at
        self.backend = backend
        self.tenant = tenants.current()
        self._receive, self._send = receive, send
        self._closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending: asyncio.Task[Any] | None = None

    async def receive(self) -> Any:
        """Return the client's next message, or that it has disconnected.

        A message that is awaited stays awaited if the application stops waiting.
        """
        if not self._closed.done():
            pending = self._pending = self._pending or asyncio.ensure_future(self._receive())
            await asyncio.wait({pending, self._closed}, return_when=asyncio.FIRST_COMPLETED)
            if not self._closed.done():
                self._pending = None
                return pending.result()
        return {"type": "websocket.disconnect", "code": self._closed.result(), "reason": ""}

    async def send(self, message: Any) -> None:
        if not self._closed.done():
            await self._send(message)

    async def close(self, code: int) -> None:
        """Close the connection, and tell the application."""
        if not self._closed.done():
            self._closed.set_result(code)
            await self._send({"type": "websocket.close", "code": code})

    def forget(self) -> None:
        """Stop waiting for messages: the application has ended."""
        if self._pending is not None:
            self._pending.cancel()


class _Watch:
    """The sockets of an event loop, and the task that closes those whose session has ended.

    The task runs while any socket is open.
    """

    def __init__(self) -> None:
        self._sockets: set[_Socket] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @contextmanager
    def of(self, socket: _Socket) -> Iterator[None]:
        """Watch this socket during the block."""
        self._sockets.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        try:
            yield
        finally:
            self._sockets.discard(socket)
            socket.forget()
            if not self._sockets and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        while True:
            feeds = [feed_of(name) for name in {socket.tenant for socket in self._sockets}]
            await asyncio.sleep(max(min((feed.seconds_until_due() for feed in feeds), default=0.0), LEAST_WAIT))
            try:
                closing = await sync_to_async(_ended)(list(self._sockets))
            except Exception as error:  # Without the task no socket would be closed any more.
                events.log("sockets not checked", error=type(error).__name__)
                continue
            for socket, code in closing:
                # A client that is slow to close must not keep the others open.
                self._closing.add(task := asyncio.ensure_future(socket.close(code)))
                task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            events.log("socket not closed", error=type(error).__name__)


def _ended(sockets: list[_Socket]) -> list[tuple[_Socket, int]]:
    """Return the sockets to be closed, and their close codes."""
    found, by_tenant = [], defaultdict(list)
    for socket in sockets:
        by_tenant[socket.tenant].append(socket)
    for name, of_tenant in by_tenant.items():
        try:
            with tenants.selected(name):
                found += _ended_of_tenant(of_tenant)
        except Exception as error:  # The sockets of the other tenants are checked all the same.
            events.log("sockets not checked", error=type(error).__name__)
    return found


def _ended_of_tenant(sockets: list[_Socket]) -> list[tuple[_Socket, int]]:
    found, now, feed = [], timezone.now(), current_feed()
    _renew_connections()
    try:
        for socket in sockets:
            if feed.is_revoked(socket.session_id, socket.subject):
                found.append((socket, SESSION_ENDED))
        if due := [socket for socket in sockets if socket.check_at <= now]:
            ends = queries.ends_of_live({socket.session_id for socket in due})
            for socket in due:
                # A session that was used meanwhile expires later.
                socket.check_at = ends.get(socket.session_id, now)
                if socket.session_id not in ends:
                    found.append((socket, SESSION_ENDED))
        found += [(socket, SESSION_ENDED) for socket in _of_nobody(sockets)]
    except FeedUnavailable:
        return [(socket, TRY_AGAIN) for socket in sockets]
    except Error:
        pass  # Sockets stay open while the database does not answer. The next look finds what has ended.
    finally:
        _renew_connections()
    return found


def _of_nobody(sockets: list[_Socket]) -> Iterator[_Socket]:
    """Yield the sockets of users whom the project's own rules do not let act any more (`tokens.service.user_rules`).

    Such a rule writes nothing that could be heard of, so it is asked once for each user.
    """
    if not user_rules.has_rules():
        return
    known: dict[tuple[str, str], bool] = {}
    for socket in sockets:
        key = socket.subject, socket.backend
        if key not in known:
            try:
                known[key] = user_rules.current(primary_key(socket.subject), socket.backend) is not None
            except Error:
                raise
            except Exception as error:  # A fault of the project's code must not keep the other sockets open.
                events.log("user of a socket not checked", error=type(error).__name__)
                known[key] = True
        if not known[key]:
            yield socket


def _identify(request: HttpRequest) -> Opener:
    """Return who opens a socket. Raise `Refused`."""
    _renew_connections()
    try:
        with tenants.selected(tenants.current()):
            access = handshake.access_of(request)
            session = queries.session_of(access) if access else None
    except handshake.FromAnotherOrigin:
        raise Refused(FORBIDDEN) from None
    except DATABASE_DOWN:
        raise Refused(TRY_AGAIN) from None
    finally:
        _renew_connections()
    return (
        Opener(AnonymousUser())
        if session is None
        else Opener(session.user, access, queries.good_until(session), session.backend)
    )


def _is_of(session: Any, opener: Opener) -> bool:
    """Return whether Django's session may be seen by who opens the socket."""
    with tenants.selected(tenants.current()):
        return _belongs_to(session, opener)


def _belongs_to(session: Any, opener: Opener) -> bool:
    owner = session.get(SESSION_KEY)
    if owner is not None and opener.auth is not None and owner != opener.user._meta.pk.value_to_string(opener.user):
        return False
    return django_session.is_live(session)


def _renew_connections() -> None:
    """Close connections that are too old or broken, as Django does around each request. A socket is no request."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _empty_session() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore()


class LiveSessionMiddleware:
    """Gives a web socket an empty session and no user if the session has ended. It asks the database once.

    It is put inside of what sets ``scope["session"]`` and ``scope["user"]``.
    """

    def __init__(self, app: Application) -> None:
        tenants.require_context()
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        with tenants.entered(handshake.request_of(scope)):
            session = scope.get("session")
            if session is not None and not await sync_to_async(_is_live)(session):
                scope = {**scope, "session": _empty_session(), "user": AnonymousUser()}
            return await self.app(scope, receive, send)


def _is_live(session: Any) -> bool:
    with tenants.selected(tenants.current()):
        return django_session.is_live(session)
