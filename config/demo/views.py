"""The demo: a page that shows the protocol with the user's own session. It exists only in development.

The requests are real: the page's script sends them to `ask`, which returns what the middleware did. Only time is
simulated: `pass_time` moves the session's row and access tokens into the past.

Auxiliary requests of the script have an unsigned Bearer token that says it is ours (`nobody`). The middleware then
ignores the cookies, and neither refreshes nor acknowledges anything. No response body contains a token. The thief's
cookies stay on the server.

Over https, with DEVICE_BOUND and a browser that supports it, the session is bound to its device
(`tokens.protocol.dbsc`). The browser then refreshes by itself before it sends a request, and the thief's copy is
useless when the access token expires.
"""

import json
import re
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from http.client import HTTPConnection, HTTPSConnection
from http.cookies import SimpleCookie
from math import ceil
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.defaultfilters import floatformat
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.demo_accounts import FLAGS, PASSWORD
from tokens import sessions
from tokens.conf import COOKIE, codec, keyring, token_settings
from tokens.protocol import refresh_tokens
from tokens.protocol.access_tokens import REGISTERED, TYPE, AccessToken, InvalidAccessToken, instant
from tokens.protocol.rotation import Decision
from tokens.service.issuing import IssuedTokens
from tokens.service.revocation import revoke
from tokens.web.exchange import Exchange, required_exchange
from tokens.web.http import cookies
from tokens.web.http.client import client_of
from tokens.web.http.cookie_names import DEVICE, OF_MODE

OUTCOMES = {
    None: "served",
    Decision.ROTATE: "refreshed",
    Decision.CATCH_UP: "refreshed",
    Decision.REPEAT: "repeated",
    Decision.RECOVER: "recovered",
}
LABELS = {
    "cookies": _("Look at the cookies"),
    "renew": _("Let it expire, and load a page"),
    "burst": _("Send twenty requests"),
    "lose": _("Lose the answer"),
    "thief": _("Play the thief"),
    "revoke": _("End this session from elsewhere"),
}
"""The buttons of the story, by the name of what they do in the page's script."""
CLAIMS = ("sub", "sid", "iat", "exp")
"""The claims of the access token that the page shows."""
STEPS = {str(number) for number in range(1, 9)}
"""The steps of the story, as ``?step`` names the one to open."""
MINUTES_FROM = 120
"""Seconds from which a duration is named in minutes."""
SECONDS = re.compile(r"[0-9]{1,5}")
"""The seconds that may pass in one step: at most a day."""
THE_REST = "the rest"
"""Sent instead of seconds: the rest of the lifetime of the access token."""
SLOW = 0.3
"""Seconds that the view takes with ``?slowly``."""
MAX_THIEVES = 100
TIMEOUT = 30
"""Seconds that the thief waits for a response."""

_jars: dict[UUID, dict[str, str]] = {}
"""The stolen cookies, by session."""
_renewals: dict[tuple[UUID, int], object] = {}
"""The first request of each generation of a bound session."""


@require_GET
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """Show the page. Loading it is the first request in its diagram. Without a session it has the button to sign in.

    ``?step`` names the step to open.
    """
    found = token_settings()
    exchange = required_exchange(request)
    later = int((found.policy.acknowledge_after + found.policy.grace).total_seconds())
    access, refresh = (cookie.name for cookie in OF_MODE[COOKIE])
    context = {
        "answer": json.dumps(_what_happened(exchange)),
        "is_shown": found.mode_of_pages == COOKIE and not found.policy.strict,
        "nobody": nobody(),
        "later": later,
        "later_text": _duration(later),
        "lifetime": _duration(int(found.access_lifetime.total_seconds())),
        "opened": step if (step := request.GET.get("step")) in STEPS else "2" if request.user.is_active else "1",
        "has_ended": not request.user.is_active and sessions.has_signed_in_before(request),
        "access_cookie": access,
        "refresh_cookie": refresh,
        "device_cookie": DEVICE.name,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "session_cookie": settings.SESSION_COOKIE_NAME,
        "account": _account(request),
        "password": PASSWORD,
        "next": reverse("latchkey-demo"),
        "labels": LABELS,
    }
    return render(request, "demo/demo.html", context)


def _duration(seconds: int) -> str:
    """Return a duration in the user's language: in seconds below two minutes, and otherwise in minutes."""
    if seconds < MINUTES_FROM:
        return ngettext("%(count)s second", "%(count)s seconds", seconds) % {"count": seconds}
    return gettext("%(count)s minutes") % {"count": floatformat(seconds / 60, -1)}


def _account(request: HttpRequest) -> str:
    """Return the name of the account of the demo as which a button signs in, or "" if there is none.

    Somebody who is signed in as somebody else gets no such button.
    """
    name = next(iter(FLAGS))
    model = get_user_model()
    if request.user.is_active and request.user.get_username() != name:
        return ""
    return name if model._default_manager.filter(**{model.USERNAME_FIELD: name}, is_active=True).exists() else ""


@require_GET
@never_cache
def ask(request: HttpRequest) -> HttpResponse:
    """Answer an ordinary request with what the middleware did.

    With ``?claims`` the answer has what the access token says, and what the refresh token consists of. With ``?lose``
    the response has no cookies, as if it was lost. With ``?slowly`` the view waits, so that the browser sends all of
    many requests before the first response arrives.
    """
    exchange = required_exchange(request)
    answer = _what_happened(exchange)
    if "claims" in request.GET and exchange.access is not None:
        answer["claims"] = {name: exchange.access.claims.get(name) for name in CLAIMS}
        answer["refresh"] = _refresh_token(request, exchange)
    if "lose" in request.GET:
        exchange.issued = None
    if "slowly" in request.GET:
        time.sleep(SLOW)
    return JsonResponse(answer)


def _refresh_token(request: HttpRequest, exchange: Exchange) -> dict[str, Any]:
    """Return session and generation of the refresh token that the browser has after this request.

    A bound session has none. The secret of the token stays here.
    """
    presented = cookies.read_refresh(request)
    text, is_old = (presented.text, presented.old_name) if presented else (None, False)
    if exchange.issued and exchange.issued.refresh_token:
        text, is_old = exchange.issued.refresh_token, False
    try:
        token = refresh_tokens.loads(text or "", keyring().mac_keys, old_name=is_old)
    except refresh_tokens.InvalidRefreshToken:
        return {}
    return {"session": str(token.session_id), "generation": token.generation}


def nobody() -> str:
    """Return an access token that the middleware rejects, without looking at the cookies."""
    segments = (json.dumps(part).encode() for part in ({"typ": TYPE}, {"iss": token_settings().issuer}))
    return ".".join([*(urlsafe_b64encode(segment).decode().rstrip("=") for segment in segments), ""])


def _backstage(view: Callable[[HttpRequest, AccessToken], HttpResponse]) -> Callable[..., HttpResponse]:
    """Return a view that gets the access token in the browser's cookie, expired or not."""

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
    """Move the session's row and the access tokens of user and thief by ``seconds`` into the past."""
    text = request.POST.get("seconds", "")
    if text == THE_REST:
        text = str(max(0, ceil(_life(token)["expires_in"])))
    if not SECONDS.fullmatch(text):
        return HttpResponse(status=400)
    passed = timedelta(seconds=int(text))
    rows = _rows(token)
    # ``created_at`` stays the same, because it says which session of a device is the newest.
    moved = ("since", "authenticated_at", "idle_expires_at", "expires_at")
    rows.live().update(**{name: F(name) - passed for name in moved})
    session = rows.select_related("user").first()
    if session is None:
        return JsonResponse({"outcome": "refused"})
    older_text, older = _aged(token, passed)
    # A voucher names the time at which it expires, so that the older token needs one of its own.
    vouches = session.bound_at is not None and any(cookies.vouchers(request))
    required_exchange(request).issue(IssuedTokens(session, session.user, older, older_text, vouches=vouches))
    jar = _jars.get(session.id, {})
    for name, value in list(jar.items()):
        try:
            jar[name], _ = _aged(codec().loads_expired(value), passed)
        except InvalidAccessToken:
            continue  # The cookie does not hold an access token.
    return JsonResponse({"passed": int(text), **_life(older)})


@_backstage
def steal(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """Give the thief a copy of the browser's cookies."""
    _jars[token.session_id] = dict(request.COOKIES)
    while len(_jars) > MAX_THIEVES:
        _jars.pop(next(iter(_jars)), None)
    return HttpResponse(status=204)


@_backstage
def revoke_from_elsewhere(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """End the session as the page "Your devices" does on another device of the user."""
    revoke(_rows(token), sessions.Reason.ENDED_BY_USER, client=client_of(request))
    return HttpResponse(status=204)


@_backstage
def ask_as_thief(request: HttpRequest, token: AccessToken) -> HttpResponse:
    """Send a request to `ask` with the thief's cookies, and keep the cookies in its response."""
    jar = _jars.get(token.session_id)
    if jar is None:
        return HttpResponse(status=409)
    origin = urlsplit(token_settings().origin)
    connection = _connection(origin)
    headers = {
        "Host": origin.netloc,
        "User-Agent": "Thief",
        # The mail that warns the user is in the language of the request that caused it.
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
    # `localhost` would be tried as an IPv6 address first, where `runserver` does not serve it.
    here = str(origin.hostname) if ":" in str(origin.hostname) else "127.0.0.1"
    if origin.scheme == "http":
        return HTTPConnection(here, origin.port or 80, timeout=TIMEOUT)
    careless = ssl.create_default_context()  # The certificate of development is self-signed.
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection(here, origin.port or 443, timeout=TIMEOUT, context=careless)


def _what_happened(exchange: Exchange) -> dict[str, Any]:
    """Return what the middleware did with this request, for the page's script."""
    if exchange.access is None:
        return {"outcome": "refused"}
    decision = exchange.issued.decision if exchange.issued else None
    answer = {"outcome": OUTCOMES[decision], "generation": exchange.access.generation, **_life(exchange.access)}
    return answer if exchange.access.generation is not None else {**answer, **_what_the_key_did(exchange.access)}


def _what_the_key_did(token: AccessToken) -> dict[str, Any]:
    """Return the same for a bound session, whose access tokens name no generation."""
    generation = _rows(token).filter(bound_at__isnull=False).values_list("generation", flat=True).first()
    if generation is None:
        return {}
    mine = object()
    is_first = _renewals.setdefault((token.session_id, generation), mine) is mine
    while len(_renewals) > MAX_THIEVES:
        _renewals.pop(next(iter(_renewals)), None)
    return {"outcome": "refreshed" if is_first else "served", "generation": generation, "bound": True}


def _life(token: AccessToken) -> dict[str, float]:
    """Return the lifetime of an access token, and what is left of it, in seconds."""
    return {
        "lifetime": token.expires_at - token.issued_at,
        "expires_in": token.expires_at - timezone.now().timestamp(),
    }


def _aged(token: AccessToken, passed: timedelta) -> tuple[str, AccessToken]:
    """Return this access token as if it had been issued ``passed`` earlier."""
    found = token_settings()
    return codec().dumps(
        subject=token.subject,
        session_id=token.session_id,
        generation=token.generation,
        now=instant(token.issued_at) - passed,
        # Lifetimes are shortened at random, but the end of the session is not. So the end of the session sets ``exp``.
        lifetime=2 * found.access_lifetime,
        session_ends_at=instant(token.expires_at) - passed,
        authenticated_at=None if token.authenticated_at is None else instant(token.authenticated_at) - passed,
        methods=token.claims.get("amr", []),
        acr=token.claims.get("acr"),
        while_open=token.while_open,
        actor=token.actor,
        for_services=token.for_services,
        extra={name: value for name, value in token.claims.items() if name not in REGISTERED},
    )


def _rows(token: AccessToken) -> Any:
    """Return the row of the session, if it has not ended."""
    return sessions.live_sessions(token.subject).filter(id=token.session_id)
