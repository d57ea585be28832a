"""What does a request cost the server? ``python -m tests.benchmarks.cost``.

This process answers requests as a browser sends them, by the project's own WSGI handler, with a PostgreSQL that the
benchmark starts and a pool of connections. Its CPU time is measured; that of the database server is not part of it.

- a GET of a user who is signed in, beside the same view with no user, behind the same middleware without the project's;
- a POST that the endpoint refreshes, one that the middleware refreshes, and beside them the same view with no user;
- a sign-in by password, without the cost of Argon2, from a known and from a new device, with throttles;
- a sign-in by passkey from a known device, with the cost of its signature, and the options before it.

They take turns, a few requests at a time, so that other load on the machine affects them alike. A line for each kind
of request says how many microseconds it took, and the ratio to the bare view: the median of all turns, and then the
cheapest turn, because other load only adds. For sign-ins it also says the ratio to Argon2's own cost. With
``--profile`` a list of the functions that take most of the time follows.
"""

import cProfile
import json
import os
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from io import BytesIO
from statistics import median
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from accounts import delivery
from tests.benchmarks.command import run_on_postgresql
from tests.benchmarks.options import progress
from tests.benchmarks.passkeys import Keys
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH
from tests.factories import PASSWORD, UserFactory
from tests.large_site import gather, token_of
from tokens import hashers
from tokens.conf import token_settings
from tokens.database.transactions import clock
from tokens.models import RefreshToken
from tokens.service import issuing
from tokens.service.client import Client
from tokens.service.opening import open_session

OURS = "tokens.middleware.TokenMiddleware"
GETS = 10
"""So many GETs for each request of another kind, so that a turn of them takes a second, in which the feed is read."""
USERS = 10
"""How many users sign in again and again."""
Request = tuple[WSGIHandler, dict[str, Any]]
Requests = Callable[[int], list[Request]]


@csrf_exempt
def view(request: HttpRequest) -> JsonResponse:
    """Return the user's key, or one of the same length, so that the view itself costs the same without a user."""
    user = getattr(request, "user", None)
    return JsonResponse({"user": str(user.pk if user else UUID(int=0))})


class Argon2(hashers.Argon2):
    """Notes the CPU seconds that it takes."""

    seconds = 0.0

    def verify(self, *args: Any, **options: Any) -> bool:
        before = time.process_time()
        try:
            return super().verify(*args, **options)
        finally:
            Argon2.seconds += time.process_time() - before


class Case:
    """Requests of one kind. ``bare``: the case that it is compared with. ``times``: how many in place of one."""

    def __init__(self, name: str, requests: Requests, bare: "Case | None" = None, *, times: int = 1) -> None:
        self.name, self.bare = name, bare
        self._requests, self._times = requests, times
        self.costs: list[float] = []
        self.hashing: list[float] = []

    def take(self, count: int, profile: cProfile.Profile | None = None) -> None:
        """Answer so many requests. Note the microseconds that one took, without Argon2, and those of Argon2."""
        requests = self._requests(count * self._times)
        Argon2.seconds, before = 0.0, time.process_time()
        with profile or nullcontext():
            for handler, environ in requests:
                _answer(handler, environ)
        self.costs.append((time.process_time() - before - Argon2.seconds) / len(requests) * 1e6)
        self.hashing.append(Argon2.seconds / len(requests) * 1e6)

    def line(self) -> str:
        bare = (self.bare or self).costs
        ratio = median(mine / other for mine, other in zip(self.costs, bare, strict=True))
        line = f"{self.name:<44}{median(self.costs):>6.0f} us{ratio:>7.2f}{min(self.costs) / min(bare):>9.2f}"
        if not any(self.hashing):
            return line
        share = median(mine / argon2 for mine, argon2 in zip(self.costs, self.hashing, strict=True))
        return f"{line}  {share:.1%} of Argon2's {median(self.hashing):.0f} us"


def _answer(handler: WSGIHandler, environ: dict[str, Any]) -> None:
    status: list[str] = []
    response = handler(environ, lambda line, headers: status.append(line))
    b"".join(response)
    response.close()
    assert status == ["200 OK"], status


def _environ(method: str, where: str, body: bytes = b"", **cookies: str) -> dict[str, Any]:
    headers = {"Accept": "application/json", "User-Agent": FIREFOX, "Origin": settings.ORIGIN}
    headers |= {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    environ = RequestFactory().generic(method, where, secure=True, headers=headers).environ
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)) if method == "POST" else ""}
    return {**environ, "CONTENT_TYPE": "application/json"} if body else environ


class SignIns:
    """Users who sign in, each from a device that is known."""

    def __init__(self, *, have_passkeys: bool = False) -> None:
        self._users = [UserFactory() for _ in range(USERS)]
        self._keys = Keys(self._users if have_passkeys else [])
        client = Client("192.0.2.7", FIREFOX)
        self.devices = [open_session(user, client, mode="cookie").device_token for user in self._users]

    def requests(self, handler: WSGIHandler, devices: list[Any]) -> Requests:
        """Return what makes a sign-in of each user, with the cookies of these devices."""

        def make(_: int) -> list[Request]:
            bodies = [json.dumps({"email": user.email, "password": PASSWORD}).encode() for user in self._users]
            cookies = [{DEVICE: device} if device else {} for device in devices]
            pairs = zip(bodies, cookies, strict=True)
            return [(handler, _environ("POST", "/api/auth/login", body, **cookie)) for body, cookie in pairs]

        return make

    def by_passkey(self, handler: WSGIHandler) -> Requests:
        """Return what makes a sign-in of each user by passkey. Its signature is made before it is measured."""

        def make(_: int) -> list[Request]:
            pairs = zip(self._keys.sign_ins(), self.devices, strict=True)
            return [
                (
                    handler,
                    _environ("POST", "/api/auth/passkey", body, **cookies, **({DEVICE: device} if device else {})),
                )
                for (body, cookies), device in pairs
            ]

        return make

    def put_back(self) -> None:
        """Delete the sessions, so that no user reaches the limit of sessions."""
        RefreshToken.objects.filter(user__in=self._users).delete()


class Sessions:
    """Sessions each of which may be rotated once, until all are put back."""

    def __init__(self, count: int) -> None:
        gather(count * 10)
        self._rows = RefreshToken.objects.filter(generation__gt=0)
        # The newest of each device: the middleware sets no cookies in a browser that has signed in again since.
        newest = RefreshToken.objects.filter(revoked_at=None).distinct("device").order_by("device", "-created_at")
        live = RefreshToken.objects.live().filter(id__in=newest.values("id"))
        self._ids = list(live.values_list("id", flat=True)[:count])
        assert len(self._ids) == count
        self._next: Iterator[Any] = iter(())
        session = RefreshToken.objects.select_related("user").get(id=self._ids[0])
        now = clock("default")
        self.access, _ = issuing.access_token(session, session.user, 1, now)
        self.expired, _ = issuing.access_token(session, session.user, 1, now - 2 * token_settings().access_lifetime)

    def put_back(self) -> None:
        """Let all sessions be as they were: refreshed once, an hour ago."""
        self._rows.update(generation=1, since=clock("default") - timedelta(hours=1))
        self._next = iter(self._ids)

    def next_token(self) -> str:
        return token_of(next(self._next))


def cases(sessions: Sessions, sign_ins: SignIns, by_passkey: SignIns) -> list[Case]:
    """Return all kinds of requests."""
    whole = WSGIHandler()
    with override_settings(MIDDLEWARE=[name for name in settings.MIDDLEWARE if name != OURS]):
        without = WSGIHandler()

    def requests(handler: WSGIHandler, *request: str, **cookies: Callable[[], str]) -> Requests:
        def make(count: int) -> list[Request]:
            values = ({name: value() for name, value in cookies.items()} for _ in range(count))
            return [(handler, _environ(*request, **each)) for each in values]

        return make

    get = Case("GET, no user", requests(without, "GET", "/bare"), times=GETS)
    post = Case("POST, no user", requests(without, "POST", "/bare"))
    signed_in = requests(whole, "GET", "/bare", **{ACCESS: lambda: sessions.access})
    expired = {ACCESS: lambda: sessions.expired, REFRESH: sessions.next_token}
    return [
        get,
        Case("GET, signed in", signed_in, get, times=GETS),
        post,
        Case("POST, refreshed by the endpoint", requests(whole, "POST", "/api/auth/refresh", **expired), post),
        Case("POST, refreshed by the middleware", requests(whole, "POST", "/bare", **expired), post),
        Case("POST, sign-in from a known device", sign_ins.requests(whole, sign_ins.devices), post),
        Case("POST, sign-in from a new device", sign_ins.requests(whole, [None] * USERS), post),
        Case("POST, options of a sign-in by passkey", requests(whole, "POST", "/api/auth/passkey"), post),
        Case("POST, sign-in by passkey", by_passkey.by_passkey(whole), post),
    ]


def measure(turns: int, requests: int, profile: bool) -> None:
    """Print a line for each case."""
    sessions, sign_ins, by_passkey = Sessions(2 * requests), SignIns(), SignIns(have_passkeys=True)
    found = cases(sessions, sign_ins, by_passkey)
    for case in found:
        sessions.put_back()
        case.take(requests)
        case.costs.clear()  # The first requests fill caches.
        case.hashing.clear()
    for _ in progress(range(turns), unit=" turns"):
        sessions.put_back()
        sign_ins.put_back()
        by_passkey.put_back()
        for case in found:
            case.take(requests)
    for case in found:
        print(case.line())  # noqa: T201
    for case in [case for case in found if case.bare] if profile else []:
        print(f"\n{case.name}")  # noqa: T201
        taken = cProfile.Profile(time.process_time)
        sessions.put_back()
        case.take(requests, taken)
        pstats.Stats(taken).sort_stats("tottime").print_stats(60)


def run(turns: int = 30, requests: int = 200, profile: bool = False) -> None:
    """Measure with a pool of connections, throttles, and Argon2 at its real cost."""
    from config.urls import urlpatterns

    connections.close_all()
    connections["default"].settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 2}
    # As many are counted, but all sign-ins come from one network, and more often than users do.
    os.environ["TOKENS_THROTTLES"] = ", ".join(
        f"attempts_{kind}=1000000/m" for kind in ("account", "device", "network")
    )
    argon2 = f"{Argon2.__module__}.{Argon2.__qualname__}"
    with override_settings(ROOT_URLCONF=(path("bare", view), *urlpatterns), PASSWORD_HASHERS=[argon2]):
        measure(turns, requests, profile)
    # PostgreSQL drops no database in use.
    delivery._pool.shutdown()
    connections.close_all()
    connections["default"].close_pool()  # type: ignore[attr-defined]


if __name__ == "__main__":
    run_on_postgresql(
        run,
        __doc__,
        turns="how often each kind of request has its turn",
        requests=f"requests of each kind in a turn, and {GETS} times as many GETs",
        profile="show which functions take most of the time, too",
    )
