"""What does a request cost the server? ``python -m tests.benchmarks.cost``.

CPU time of this process, in which the project's own WSGI handler answers requests as a browser sends them, with a
PostgreSQL of the benchmark's own and its pool of connections. What the server of the database does is not in it.

- a signed-in GET, beside the same view where nobody is signed in: behind the same middleware, but for the project's;
- a POST that is refreshed: by the endpoint, by the middleware, and beside it the same view where nobody is signed in;
- a sign-in by password, but for Argon2, from a device that is known and from one that is not, throttles on.

All are taken in turn, some of each at a time, so that what else the machine does hits them alike. A line for each says
how many microseconds it took, and how many times as much as the bare view: the median of all turns, then the cheapest,
for what else the machine does only adds. Sign-ins say, too, how many hundredths of Argon2's own cost that is. With
``--profile`` the functions follow in which most of the time goes.
"""

import argparse
import cProfile
import json
import os
import pstats
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from statistics import median
from typing import Any
from uuid import uuid4

import django
from tqdm import tqdm

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.conf import settings  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connections  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from config.urls import urlpatterns  # noqa: E402
from tests import crowd  # noqa: E402
from tests.browsers import ACCESS, DEVICE, FIREFOX, REFRESH  # noqa: E402
from tests.databases import Databases  # noqa: E402
from tests.factories import PASSWORD, UserFactory  # noqa: E402
from tokens import hashers  # noqa: E402
from tokens.conf import token_settings  # noqa: E402
from tokens.database import clock  # noqa: E402
from tokens.models import RefreshToken  # noqa: E402
from tokens.service import grants  # noqa: E402
from tokens.service.client import Client  # noqa: E402
from tokens.service.opening import open_session  # noqa: E402

OURS = "tokens.middleware.TokenMiddleware"
REFRESHED_LONG_AGO = timedelta(hours=1)
GETS = 10
"""For each request of another kind."""

Request = tuple[WSGIHandler, dict[str, Any]]


class Somebody:
    pk = uuid4()


@csrf_exempt
def view(request: HttpRequest) -> JsonResponse:
    """Says who somebody is; where nobody tells, always the same, so that the view itself costs the same."""
    return JsonResponse({"user": str(getattr(request, "user", Somebody).pk)})


class Argon2(hashers.Argon2):
    """Notes what it costs."""

    seconds = 0.0

    def verify(self, *args: Any, **options: Any) -> bool:
        before = time.process_time()
        try:
            return super().verify(*args, **options)
        finally:
            Argon2.seconds += time.process_time() - before


class Case:
    """Requests of one kind. ``bare``: the case that it is compared with; None for one that others are.

    ``times``: how many of them there are for one of another kind.
    """

    def __init__(
        self, name: str, bare: "Case | None", requests: Callable[[int], list[Request]], *, times: int = 1
    ) -> None:
        self.name = name
        self._times = times
        self.bare = bare
        self._requests = requests
        self.costs: list[float] = []
        self.hashing: list[float] = []

    def take(self, count: int, profile: cProfile.Profile | None = None) -> None:
        """Answer so many requests, and note what one has cost, in microseconds, and what of it was Argon2."""
        requests = self._requests(count * self._times)
        Argon2.seconds = 0.0
        before = resource.getrusage(resource.RUSAGE_SELF)
        if profile and self.bare:
            profile.enable()
        for handler, environ in requests:
            _answer(handler, environ)
        if profile and self.bare:
            profile.disable()
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        self.costs.append((seconds - Argon2.seconds) / len(requests) * 1e6)
        self.hashing.append(Argon2.seconds / len(requests) * 1e6)

    def line(self) -> str:
        """What it cost, and how many times as much as what it is compared with."""
        ratios = [mine / bares for mine, bares in zip(self.costs, (self.bare or self).costs, strict=True)]
        cheapest = min(self.costs) / min((self.bare or self).costs)
        line = f"{self.name:<44}{median(self.costs):>6.0f} us{median(ratios):>7.2f}{cheapest:>9.2f}"
        if not any(self.hashing):
            return line
        shares = [mine / argon2 for mine, argon2 in zip(self.costs, self.hashing, strict=True)]
        return f"{line}  {median(shares):.1%} of Argon2's {median(self.hashing):.0f} us"


class People:
    """Some who sign in again and again, each from a device that is known."""

    COUNT = 10

    def __init__(self) -> None:
        self._users = [UserFactory() for _ in range(self.COUNT)]
        self.devices = []
        for user in self._users:
            grant = open_session(user, Client("192.0.2.7", FIREFOX), mode="cookie")
            self.devices.append(grant.device_token)

    def bodies(self) -> list[bytes]:
        return [json.dumps({"email": user.email, "password": PASSWORD}).encode() for user in self._users]

    def put_back(self) -> None:
        """Sign all out: nobody comes to have too many sessions."""
        RefreshToken.objects.filter(user__in=self._users).delete()


class Sessions:
    """Sessions that may be rotated, each of them once until all are put back."""

    def __init__(self, count: int) -> None:
        crowd.gather(count * 10)
        self._rows = RefreshToken.objects.filter(generation__gt=0)
        # Each the last of its device: the middleware gives no cookies to a browser that has signed in anew since.
        last = (
            RefreshToken.objects.filter(revoked_at=None)
            .distinct("device")
            .order_by("device", "-created_at")
            .values("id")
        )
        self._ids = list(RefreshToken.objects.live().filter(id__in=last).values_list("id", flat=True)[:count])
        assert len(self._ids) == count
        self._next: Iterator[Any] = iter(())
        session = RefreshToken.objects.select_related("user").get(id=self._ids[0])
        now = clock("default")
        self.access, _ = grants.access_token(session, session.user, 1, now)
        self.expired, _ = grants.access_token(session, session.user, 1, now - 2 * token_settings().access_lifetime)

    def put_back(self) -> None:
        """Let all be as they were."""
        self._rows.update(generation=1, since=clock("default") - REFRESHED_LONG_AGO)
        self._next = iter(self._ids)

    def next_token(self) -> str:
        return crowd.token_of(next(self._next))


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


def cases(sessions: Sessions, people: People) -> list[Case]:
    """All that is compared. The project's settings are in place."""
    whole = WSGIHandler()
    with override_settings(MIDDLEWARE=[name for name in settings.MIDDLEWARE if name != OURS]):
        without = WSGIHandler()

    def requests(handler: WSGIHandler, *request: str, **cookies: Callable[[], str]) -> Callable[[int], list[Request]]:
        def make(count: int) -> list[Request]:
            return [
                (handler, _environ(*request, **{name: value() for name, value in cookies.items()}))
                for _ in range(count)
            ]

        return make

    def sign_ins(devices: list[Any]) -> Callable[[int], list[Request]]:
        def make(_: int) -> list[Request]:
            cookies = [{DEVICE: device} if device else {} for device in devices]
            return [
                (whole, _environ("POST", "/api/auth/login", body, **cookie))
                for body, cookie in zip(people.bodies(), cookies, strict=True)
            ]

        return make

    # So many that they take a second: that often a process reads the revocation feed, however few there are.
    get = Case("GET, nobody signed in", None, requests(without, "GET", "/bare"), times=GETS)
    post = Case("POST, nobody signed in", None, requests(without, "POST", "/bare"))
    signed_in = requests(whole, "GET", "/bare", **{ACCESS: lambda: sessions.access})
    expired = {ACCESS: lambda: sessions.expired, REFRESH: sessions.next_token}
    return [
        get,
        Case("GET, signed in", get, signed_in, times=GETS),
        post,
        Case("POST, refreshed by the endpoint", post, requests(whole, "POST", "/api/auth/refresh", **expired)),
        Case("POST, refreshed by the middleware", post, requests(whole, "POST", "/bare", **expired)),
        Case("POST, signed in, from a known device", post, sign_ins(people.devices)),
        Case("POST, signed in, from a new device", post, sign_ins([None] * people.COUNT)),
    ]


def run(turns: int, requests: int, profile: bool) -> None:
    """Print a line for each case. The database is there, and empty."""
    sessions, people = Sessions(2 * requests), People()
    found = cases(sessions, people)
    for case in found:
        sessions.put_back()
        case.take(requests)
        case.costs.clear()  # The first ones fill caches.
        case.hashing.clear()
    for _ in tqdm(range(turns), unit=" turns", disable=not sys.stderr.isatty()):
        sessions.put_back()
        people.put_back()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--requests", type=int, default=200, help=f"of each kind in a turn; {GETS} times as many GETs")
    parser.add_argument("--profile", action="store_true", help="show where the time goes, too")
    arguments = parser.parse_args()
    databases = Databases("_cost")
    try:
        databases.use("postgresql")
        connections.close_all()
        connections["default"].settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 2}
        del os.environ["TOKENS_THROTTLES"]
        argon2 = f"{Argon2.__module__}.{Argon2.__qualname__}"
        with override_settings(ROOT_URLCONF=(path("bare", view), *urlpatterns), PASSWORD_HASHERS=[argon2]):
            run(**vars(arguments))
    finally:
        databases.destroy()


if __name__ == "__main__":
    main()
