"""The demo: a page on which a newcomer sees the protocol at work. Routed in development alone.

What it shows is real: the page's script sends requests to `ask`, and is told what the middleware made of each. The
one trick is time, for nobody waits ten minutes: `pass_time` moves one session's row and access tokens into the past.
It is the only code outside of `tokens.service` that writes a row.

What the script does behind the scenes says ``Authorization: Bearer``, empty. The middleware then looks at no cookie,
and so neither refreshes nor acknowledges anything: the next request to `ask` finds all as it was. No token is ever in
an answer's body; the jar of the thief stays here.

Over https, with `DEVICE_BOUND` on offer and a browser that can, the session is bound (`tokens.protocol.dbsc`): the
browser refreshes by itself, before a request leaves, and the thief's copy is dead when its access token ends.
"""

import json
import re
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from http.client import HTTPConnection, HTTPSConnection
from http.cookies import SimpleCookie
from math import ceil
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.contrib.auth.decorators import user_passes_test
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from tokens.conf import COOKIE, codec, token_settings
from tokens.database.transactions import writer
from tokens.models import RefreshToken
from tokens.protocol.access_tokens import AccessToken, InvalidAccessToken, instant
from tokens.protocol.rotation import Decision
from tokens.service.issuing import IssuedTokens
from tokens.web import cookies
from tokens.web.exchange import Exchange, required_exchange

OUTCOMES = {
    None: "served",
    Decision.ROTATE: "refreshed",
    Decision.CATCH_UP: "refreshed",
    Decision.REPEAT: "repeated",
    Decision.RECOVER: "recovered",
}
SECONDS = re.compile(r"[0-9]{1,5}")
"""How much time may pass at once: a day, and no year."""
THE_REST = "the rest"
"""Said instead of seconds: as many as the access token has left."""
SLOW = 0.3
"""Seconds that a slow view takes."""
MAX_THIEVES = 100
TIMEOUT = 30
"""Seconds that the thief waits for an answer."""

_jars: dict[UUID, dict[str, str]] = {}
"""The stolen cookies, by session."""
_renewals: dict[tuple[UUID, int], object] = {}
"""Which request was the first of a generation that a key began, by session."""


@require_GET
@never_cache
@user_passes_test(lambda user: user.is_active)
def show(request: HttpRequest) -> HttpResponse:
    """The page. Loading it is the first request that it draws."""
    found = token_settings()
    context = {
        "answer": json.dumps(_what_happened(required_exchange(request))),
        "is_shown": found.mode_of_pages == COOKIE and not found.policy.strict,
        "later": int((found.policy.acknowledge_after + found.policy.grace).total_seconds()),
    }
    return render(request, "demo/demo.html", context)


@require_GET
@never_cache
def ask(request: HttpRequest) -> HttpResponse:
    """An ordinary request.

    ``?lose``: its answer is lost; what the server did is done, and the cookies never arrive. ``?slowly``: the view
    takes its time, so that of many requests the last has left the browser before the first answer is there.
    """
    exchange = required_exchange(request)
    answer = _what_happened(exchange)
    if "lose" in request.GET:
        exchange.issued = None
    if "slowly" in request.GET:
        time.sleep(SLOW)
    return JsonResponse(answer)


def _backstage(view: Callable[[HttpRequest, AccessToken], HttpResponse]) -> Callable[..., HttpResponse]:
    """A view that is given the access token of the browser's jar, expired or not, and leaves the session alone."""

    @require_POST
    @wraps(view)
    def with_token(request: HttpRequest) -> HttpResponse:
        try:
            token = codec().loads_expired(cookies.read_access(request) or "")
        except InvalidAccessToken:
            return JsonResponse({"outcome": "refused"})
        return view(request, token)

    return with_token


@_backstage
def pass_time(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """Let ``seconds`` pass for this session: its row, and the access tokens of its owner and its thief."""
    text = request.POST.get("seconds", "")
    if text == THE_REST:
        text = str(max(0, ceil(_life(token)["expires_in"])))
    if not SECONDS.fullmatch(text):
        return HttpResponse(status=400)
    passed = timedelta(seconds=int(text))
    sessions = RefreshToken.objects.using(writer(RefreshToken)).filter(id=token.session_id)
    # Not ``created_at``: by that one, the sessions of a device know which of them is the newest.
    moved = ("since", "authenticated_at", "idle_expires_at", "expires_at")
    sessions.live().update(**{name: F(name) - passed for name in moved})
    session = sessions.select_related("user").first()
    if session is None:
        return JsonResponse({"outcome": "refused"})
    older_text, older = _aged(token, passed, session.user)
    required_exchange(request).issue(IssuedTokens(session, session.user, older, older_text))
    jar = _jars.get(session.id, {})
    for name, value in list(jar.items()):
        try:
            jar[name], _ = _aged(codec().loads_expired(value), passed, session.user)
        except InvalidAccessToken:
            continue  # Another cookie.
    return JsonResponse({"passed": int(text), **_life(older)})


@_backstage
def steal(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """Copy the browser's cookies into the thief's jar."""
    _jars[token.session_id] = dict(request.COOKIES)
    while len(_jars) > MAX_THIEVES:
        _jars.pop(next(iter(_jars)), None)
    return HttpResponse(status=204)


@_backstage
def ask_as_thief(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """Send a request of its own to `ask`, with the thief's jar, and keep the cookies that its answer sets."""
    jar = _jars.get(token.session_id)
    if jar is None:
        return HttpResponse(status=409)
    origin = urlsplit(token_settings().origin)
    connection = _connection(origin)
    headers = {
        "Host": origin.netloc,
        "User-Agent": "Thief",
        # The mail that warns the owner is in the language of the request that gave the thief away.
        "Accept-Language": request.headers.get("Accept-Language", ""),
        "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items()),
    }
    try:
        connection.request("GET", reverse("demo-ask"), headers=headers)
        response = connection.getresponse()
        for header in response.headers.get_all("Set-Cookie", []):
            jar.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
        return JsonResponse(json.loads(response.read()))
    finally:
        connection.close()


def _connection(origin: SplitResult) -> HTTPConnection:
    if origin.scheme == "http":
        return HTTPConnection("127.0.0.1", origin.port or 80, timeout=TIMEOUT)
    careless = ssl.create_default_context()  # Development's certificate is anybody's, and so is a thief's care.
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", origin.port or 443, timeout=TIMEOUT, context=careless)


def _what_happened(exchange: Exchange) -> dict[str, Any]:
    """What became of this request, as the page's script reads it."""
    if exchange.access is None:
        return {"outcome": "refused"}
    decision = exchange.issued.decision if exchange.issued else None
    answer = {"outcome": OUTCOMES[decision], "generation": exchange.access.generation, **_life(exchange.access)}
    return answer if exchange.access.generation is not None else {**answer, **_what_the_key_did(exchange.access)}


def _what_the_key_did(token: AccessToken) -> dict[str, Any]:
    """What became of the request of a bound session, whose tokens do not say of which generation they are."""
    sessions = RefreshToken.objects.using(writer(RefreshToken)).filter(id=token.session_id, bound_at__isnull=False)
    generation = sessions.values_list("generation", flat=True).first()
    if generation is None:
        return {}
    mine = object()
    is_first = _renewals.setdefault((token.session_id, generation), mine) is mine
    while len(_renewals) > MAX_THIEVES:
        _renewals.pop(next(iter(_renewals)), None)
    return {"outcome": "refreshed" if is_first else "served", "generation": generation, "bound": True}


def _life(token: AccessToken) -> dict[str, float]:
    """How long an access token lives, in all and from now on, in seconds."""
    return {
        "lifetime": token.expires_at - token.issued_at,
        "expires_in": token.expires_at - timezone.now().timestamp(),
    }


def _aged(token: AccessToken, passed: timedelta, user: Any) -> tuple[str, AccessToken]:
    """Return the access token that this one would be, had it been made so much earlier."""
    found = token_settings()
    return codec().dumps(
        subject=token.subject,
        session_id=token.session_id,
        generation=token.generation,
        now=instant(token.issued_at) - passed,
        # A life is shortened at random, an end that the session sets is not: the end moves as far as the beginning.
        lifetime=2 * found.access_lifetime,
        session_ends_at=instant(token.expires_at) - passed,
        authenticated_at=instant(token.authenticated_at) - passed,
        methods=token.claims["amr"],
        while_open=token.while_open,
        extra=found.claims(user) if found.claims else None,
    )
