"""An authentication class for httpx: it sends the access token, and refreshes it when it has expired.

`LatchkeyAuth._flow` decides and does no I/O. It is a generator of steps: a request that httpx has to send, tokens that
have to be renewed, or a response that has to be read. `sync_auth_flow` and `async_auth_flow` carry the steps out.
"""

import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx

from latchkey_client.errors import LatchkeyError, SignInRequired, Unavailable
from latchkey_client.server import AuthServer, is_problem, problem_code
from latchkey_client.stores import MemoryStore, Store
from latchkey_client.tokens import Tokens

PATIENCE = 30.0
"""Seconds for which a refresh is tried again, unless the argument ``patience`` says otherwise."""
MARGIN = 60.0
"""A request whose body is a stream is sent only with an access token that is valid for so many seconds.

For tokens that live shorter than four minutes it is a quarter of their lifetime.
"""
RENEWED_AFTER = frozenset({"token_expired", "session_ended"})
"""The codes after which the refresh token decides: with new tokens, or because the session has ended."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Origin = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class _Renew:
    """A step: renew the tokens, unless others than ``used`` are there that live longer than ``least`` seconds."""

    used: Tokens | None
    least: float
    outages: int
    """How many outages there were when this was asked for. Who has waited during another one does not wait again."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A step: read the body of a response."""

    response: httpx.Response


_Step = httpx.Request | _Renew | _Read
_Flow = Generator[_Step, Any, None]


class LatchkeyAuth(httpx.Auth):
    """Authenticates the requests of an `httpx.Client` or `httpx.AsyncClient` with the tokens of one session.

    ``origin``: the address of Latchkey, such as ``https://auth.example.org``. It has to be https, except on this
    machine. ``store``: keeps the tokens. The default keeps them in memory. ``origins``: further origins that get the
    access token. A request to any other origin is sent without it. ``api``: the path of the auth API. ``patience``: for
    how many seconds a refresh is tried again if the server does not answer. ``options``: further arguments of
    `httpx.Client` for the requests to the auth API, such as ``verify``, ``proxy`` and ``timeout``.

    One object may serve several clients, threads and event loops. Processes that share a session share its store. After
    `os.fork`, the child needs an object of its own.
    """

    def __init__(
        self,
        origin: str,
        store: Store | None = None,
        *,
        origins: Iterable[str] = (),
        api: str = "/api/auth/",
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        address = _url(origin)
        self._origin = f"{address.scheme}://{address.netloc.decode()}"
        self._origins = {_checked(address), *(_checked(_url(one)) for one in origins)}
        place = address.join(f"{api.rstrip('/')}/")
        if _origin(place) != _origin(address):
            raise LatchkeyError(f"The API has to be a path of {self._origin}.")
        self._server = AuthServer(place, patience, options, clock=clock, sleep=sleep)
        self._store: Store = MemoryStore() if store is None else store
        self._clock = clock
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()
        self._outage: tuple[float, Unavailable] | None = None
        self._outages = 0
        # One task of each event loop renews in a thread, so that the others need no thread to wait in.
        self._turn: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("latchkey_client turn")

    def __repr__(self) -> str:
        return f"LatchkeyAuth({self._origin!r}, {self._store!r})"

    # Signing in and out

    @property
    def is_signed_in(self) -> bool:
        """Whether the store has tokens. Only a request shows whether their session still lives."""
        with self._lock, self._store.locked():
            return _usable(self._store.load()) is not None

    def sign_in(self, **given: str) -> None:
        """Open a session, and keep its tokens.

        ``given``: the members of the body of ``POST /api/auth/login``, such as ``email`` or ``username``, ``password``
        and ``device_name``. Raise `SignInRefused`, `Unavailable` or `StoreFailed`.
        """
        with self._lock, self._store.locked():
            self._save(self._server.sign_in(given, self._store.load()))

    def adopt(self, refresh_token: str) -> None:
        """Keep a refresh token that was got in another way. The first request refreshes it. Raise `StoreFailed`."""
        with self._lock, self._store.locked():
            self._save(Tokens(refresh_token=refresh_token))

    def sign_out(self) -> None:
        """End the session, and remove its tokens. Raise `Unavailable` or `StoreFailed`, and keep them then."""
        with self._lock, self._store.locked():
            tokens = self._store.load()
            if usable := _usable(tokens):
                self._server.sign_out(usable)
            self._forget(tokens)

    async def sign_in_async(self, **given: str) -> None:
        """Do what `sign_in` does, in a thread, so that the event loop goes on."""
        await anyio.to_thread.run_sync(lambda: self.sign_in(**given))

    async def sign_out_async(self) -> None:
        """Do what `sign_out` does, in a thread, so that the event loop goes on."""
        await anyio.to_thread.run_sync(self.sign_out)

    # Requests

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        flow = self._flow(request)
        answer: Any = None
        while (step := _next(flow, answer)) is not None:
            match step:
                case _Renew():
                    answer = self._renew(step)
                case _Read(response):
                    answer = response.read()
                case _:
                    answer = yield step

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow = self._flow(request)
        answer: Any = None
        while (step := _next(flow, answer)) is not None:
            match step:
                case _Renew():
                    answer = await self._renew_async(step)
                case _Read(response):
                    answer = await response.aread()
                case _:
                    answer = yield step

    def _flow(self, request: httpx.Request) -> _Flow:
        """Yield the steps of one request. A step's answer is a response, or the tokens."""
        if _origin(request.url) not in self._origins:
            yield request
            return
        is_repeatable = isinstance(request.stream, httpx.ByteStream)
        tokens, outages = self._tokens, self._outages
        least = 0 if is_repeatable or tokens is None else min(MARGIN, tokens.lifetime / 4)
        if tokens is None or tokens.remaining(self._clock()) <= least:
            tokens = yield _Renew(tokens, least, outages)
        response = yield _with(tokens, request)
        # A redirect may have led to another origin, which decides nothing here.
        if response.status_code != httpx.codes.UNAUTHORIZED or _origin(response.request.url) not in self._origins:
            return
        if not is_problem(response):
            return
        yield _Read(response)
        if problem_code(response) in RENEWED_AFTER:
            tokens = yield _Renew(tokens, 0, self._outages)
            if is_repeatable:
                yield _with(tokens, request)

    # Renewing

    def _renew(self, step: _Renew) -> Tokens:
        """Return tokens that do what the step asks for.

        Threads wait for each other, and so do processes. Those that come later find the tokens of the first.
        """
        with self._lock:
            if found := self._renewed(step):
                return found
            self._raise_outage(step.outages)
            with self._store.locked():
                stored = _usable(self._store.load())
                if stored is None:
                    self._tokens = None
                    raise SignInRequired("There is no session. Sign in first.")
                self._tokens = stored
                return self._renewed(step) or self._refreshed(stored)

    def _renewed(self, step: _Renew) -> Tokens | None:
        """Return the tokens in memory, if they do what the step asks for."""
        found = self._tokens
        if found is None or (step.used is not None and found.access_token == step.used.access_token):
            return None
        return found if found.remaining(self._clock()) > step.least else None

    def _refreshed(self, stored: Tokens) -> Tokens:
        try:
            tokens = self._server.refresh(stored)
        except SignInRequired:
            self._forget(stored)
            raise
        except Unavailable as error:
            self._outage = (self._clock(), error)
            self._outages += 1
            raise
        return self._save(tokens)

    def _raise_outage(self, outages: int) -> None:
        """Raise `Unavailable` if the server did not answer another thread meanwhile, or has asked to wait."""
        if self._outage is None:
            return
        failed_at, error = self._outage
        pause, passed = error.retry_after or 0, self._clock() - failed_at
        remaining = pause - passed if 0 <= passed <= pause else 0  # The clock may have been set back.
        if self._outages != outages or remaining > 0:
            raise Unavailable(str(error), remaining if error.retry_after is not None else None)

    async def _renew_async(self, step: _Renew) -> Tokens:
        turn = self._turn.get(None)
        if turn is None:
            turn = anyio.CapacityLimiter(1)
            self._turn.set(turn)
        async with turn:
            if found := self._renewed(step):
                return found
            # If the task is cancelled, the thread goes on: tokens that are under way are still saved.
            thread = anyio.CapacityLimiter(1)
            return await anyio.to_thread.run_sync(self._renew, step, abandon_on_cancel=True, limiter=thread)

    def _save(self, tokens: Tokens) -> Tokens:
        # Saved before they are used: the server takes the use of a token as proof that the client has it.
        self._store.save(tokens)
        self._tokens, self._outage = tokens, None
        return tokens

    def _forget(self, tokens: Tokens | None) -> None:
        """Remove the tokens, except the device's, by which a sign-in is one on a known device."""
        self._tokens = None
        if tokens is not None and tokens.device_token:
            self._store.save(Tokens(refresh_token="", device_token=tokens.device_token))
        else:
            self._store.clear()


def _next(flow: _Flow, answer: Any) -> _Step | None:
    try:
        return flow.send(answer)
    except StopIteration:
        return None


def _with(tokens: Tokens, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {tokens.access_token}"
    return request


def _usable(tokens: Tokens | None) -> Tokens | None:
    return tokens if tokens is not None and tokens.refresh_token else None


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


def _url(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except httpx.InvalidURL as error:
        raise LatchkeyError(f"An address cannot be read: {error}") from None


def _checked(url: httpx.URL) -> Origin:
    """Return the origin of an address. Raise `LatchkeyError` if tokens could be read on the way to it."""
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
        raise LatchkeyError(f"{url.scheme}://{url.host} is not https, so tokens are not sent to it.")
    if not url.host:
        raise LatchkeyError("An address names no host. Write it as https://auth.example.org.")
    return _origin(url)
