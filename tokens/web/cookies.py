r"""The cookies: their names, their attributes, and the only code that sets or clears them.

========================  ===============================  ======================================================
the access token          ``__Host-access``                modes ``cookie`` and ``scoped``
\                         ``__Secure-access``, Domain=     mode ``subdomain``: all hosts of the site see it
the refresh token         ``__Host-refresh``               modes ``cookie`` and ``subdomain``: this host alone
\                         ``__Secure-refresh``, Path=      mode ``scoped``: sent to the auth API alone
the device's own token    ``__Host-device``                stays when somebody signs out
not closed since          ``__Host-open``                  of a bound session that goes with the browser
========================  ===============================  ======================================================

All are HttpOnly, Secure, SameSite=Lax; ``__Host-`` makes the browser enforce Path=/ and no Domain (RFC 6265bis section
4.1.3.2). ``__Host-open`` alone is SameSite=None: it has to come with a refresh that a link on another site made the
browser send, and says nothing of anybody. The access cookie lives as long as the refresh cookie, so that the server
sees an expired token as expired; a session's that is bound to its device (`tokens.protocol.dbsc`) no longer than its
token, for the browser renews it when it is gone. Where `TokenSettings.origin` is plain http, which only development may
have, names lose their prefix and the cookies Secure, for not every browser keeps such cookies from http://localhost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

from tokens.conf import BODY, COOKIE, OFFER, SCOPED, SUBDOMAIN, token_settings
from tokens.models import RefreshToken
from tokens.service import events
from tokens.service.issuing import IssuedTokens, ends_with_browser
from tokens.web.paths import auth_api

MARGIN = 10
"""Seconds, or a tenth, by which a bound session's access cookie goes before its token: an answer takes its time."""
DEVICE_LIFETIME = 400 * 86400
"""Seconds; no browser keeps a cookie longer (RFC 6265bis section 5.5)."""
REMEMBERED = 1024
"""How many ``Cookie`` headers a process remembers, taken apart: a browser sends the same one again and again."""
MAX_REMEMBERED = 8192
"""Bytes of the longest that is remembered: nobody can fill the memory with them."""
MAX_COOKIE = 4096
"""Bytes of name and value; no browser keeps a larger one (likewise). Ours are far smaller, but for a claims hook's."""


@dataclass(frozen=True, slots=True)
class _Cookie:
    """``plain``: its name where the prefix is lost."""

    prefixed: str
    plain: str

    @property
    def name(self) -> str:
        return self.prefixed if token_settings().secure else self.plain

    @property
    def path(self) -> str:
        return (auth_api() or "/") if self is _SCOPED_REFRESH else "/"

    @property
    def domain(self) -> str | None:
        return (token_settings().cookie_domain or None) if self is _SITE_ACCESS else None


_HOST_ACCESS = _Cookie("__Host-access", "access")
_SITE_ACCESS = _Cookie("__Secure-access", "site-access")
_HOST_REFRESH = _Cookie("__Host-refresh", "refresh")
_SCOPED_REFRESH = _Cookie("__Secure-refresh", "scoped-refresh")
_DEVICE = _Cookie("__Host-device", "device")
_OPEN = _Cookie("__Host-open", "open")

_OF_MODE = {
    COOKIE: (_HOST_ACCESS, _HOST_REFRESH),
    SCOPED: (_HOST_ACCESS, _SCOPED_REFRESH),
    SUBDOMAIN: (_SITE_ACCESS, _HOST_REFRESH),
}


class Presented(NamedTuple):
    """A refresh token as it came, and the storage modes of which a session's may come so."""

    text: str
    modes: frozenset[str]


def read_access(request: HttpRequest) -> str | None:
    """Return the access token's text, or None. A cookie that sibling hosts can set is looked at last, if at all."""
    for name in _names().access:
        if (text := _read(request, name)) is not None:
            return text
    return None


def read_refresh(request: HttpRequest) -> Presented | None:
    """Return the presented refresh token, or None."""
    for name, modes in _names().refresh:
        if text := _read(request, name):
            return Presented(text, modes)
    return None


def read_device(request: HttpRequest) -> str | None:
    """Return the device's own token, or None."""
    return _read(request, _DEVICE.name)


def is_open(request: HttpRequest) -> bool:
    """Whether the browser has not been closed since its session was bound, which was to end then."""
    return _read(request, _OPEN.name) is not None


def set_tokens(response: HttpResponseBase, issued: IssuedTokens, now: datetime) -> None:
    """Set the cookies that carry these tokens.

    In mode ``body`` the client keeps its tokens itself, and gets no cookies.
    """
    if issued.session.mode == BODY:
        return
    # Without "remember me" the cookies go with the browser.
    max_age = max(int((issued.session.ends_at - now).total_seconds()), 1) if issued.session.remember else None
    access, refresh = _OF_MODE[issued.session.mode]
    if issued.is_new:
        # What another mode left behind would sign in its own session, once this one's access token has expired.
        _clear(response, {*_served(0), *_served(1)} - {access, refresh})
    bound_max_age = _max_age_of_access(issued, now)
    _set(response, access, issued.access_token, max_age if bound_max_age is None else bound_max_age)
    if ends_with_browser(issued.session):
        _set(response, _OPEN, "1", None, "None")
    if issued.binds:
        _clear(response, [refresh])
    if issued.refresh_token:
        _set(response, refresh, issued.refresh_token, max_age)
    if issued.device_token:
        _set(response, _DEVICE, issued.device_token, DEVICE_LIFETIME)
    keep_private(response)


def _max_age_of_access(issued: IssuedTokens, now: datetime) -> int | None:
    """How many seconds the browser keeps the access token, where it is to renew it by the device's key."""
    session = issued.session
    # While the key is pending a client of `scoped` mode refreshes itself, when it is told that the token has expired.
    if session.bound_key is None or (session.bound_at is None and session.mode != COOKIE and issued.keep_for is None):
        return None
    left = int(issued.access.expires_at - now.timestamp())
    left -= min(MARGIN, left // 10)
    # None is kept that has ended: the browser has to renew it.
    return max(min(left, issued.keep_for or left), 0)


def bound_cookie(mode: str) -> tuple[str, str]:
    """Return name and attributes of the access cookie, as a browser is told that it is bound by it."""
    access, _ = _OF_MODE[mode]
    return access.name, f"Path={access.path}; Secure; HttpOnly; SameSite=Lax"


def clear(response: HttpResponseBase) -> None:
    """Clear the tokens, of every mode served. The device's cookie stays: the browser is still that browser."""
    _clear(response, [*_served(0), *_served(1), *([_OPEN] if token_settings().device_bound == OFFER else [])])
    keep_private(response)


def clear_refresh(response: HttpResponseBase, session: RefreshToken) -> None:
    """Clear the refresh token of this session, which goes on without it."""
    _clear(response, [_OF_MODE[session.mode][1]])
    keep_private(response)


def clear_access(response: HttpResponseBase) -> None:
    """Clear the access token, of every mode served."""
    _clear(response, _served(0))
    keep_private(response)


def retry_without_access(request: HttpRequest) -> HttpResponse:
    """Return a redirect (307) to the same URL that deletes the access cookie. The browser keeps the method and the
    body.

    A browser with a bound session then refreshes before it repeats the request.
    """
    response = HttpResponse(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": request.get_full_path()})
    clear_access(response)
    return response


def keep_private(response: HttpResponseBase) -> None:
    """Keep a response that sets cookies out of every shared cache (RFC 9111 section 5.2.2)."""
    if response.get("Cache-Control") in {None, "no-store"}:
        response["Cache-Control"] = "private, no-store"
    else:
        patch_cache_control(response, private=True, no_store=True)
    vary(response)


def vary(response: HttpResponseBase) -> None:
    """Say that the response depends on cookies (RFC 9110 section 12.5.5)."""
    if response.has_header("Vary"):
        patch_vary_headers(response, ("Cookie",))
    else:
        response["Vary"] = "Cookie"


def _served_modes() -> list[str]:
    """The modes that keep tokens in cookies, as far as they are served; pages sign in with cookies in any case."""
    found = token_settings()
    return [mode for mode in _OF_MODE if mode in {*found.modes, found.mode_of_pages}]


def _served(which: int) -> list[_Cookie]:
    """The access (0) or refresh (1) cookies of the modes served, those of one host first."""
    cookies = dict.fromkeys(_OF_MODE[mode][which] for mode in _served_modes())
    return sorted(cookies, key=lambda cookie: not cookie.prefixed.startswith("__Host-"))


class _Names(NamedTuple):
    """Where every request's tokens are looked for: the access cookies, and the refresh cookies with their modes."""

    access: tuple[str, ...]
    refresh: tuple[tuple[str, frozenset[str]], ...]


@lru_cache(maxsize=1)
def _names() -> _Names:
    """Return the names of this process's settings."""
    modes_of = {cookie: {mode for mode in _served_modes() if cookie in _OF_MODE[mode]} for cookie in _served(1)}
    return _Names(
        access=tuple(cookie.name for cookie in _served(0)),
        refresh=tuple((cookie.name, frozenset(modes)) for cookie, modes in modes_of.items()),
    )


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "DEBUG"}:
        _names.cache_clear()


def _read(request: HttpRequest, name: str) -> str | None:
    """Return the value of the cookie of this very name, or None without one, or with several.

    Not of ``request.COOKIES``: Django takes off all that Unicode calls white space, and keeps the last of a name. A
    browser holds no cookie to a prefix that begins with a no-break space, so a sibling host could set it for us, and
    sign our visitor in to its own account. Of two of a name nobody can tell which one is ours.
    """
    header = request.META.get("HTTP_COOKIE", "")
    return (_remembered_values if len(header) <= MAX_REMEMBERED else _values)(header).get(name)


def _values(header: str) -> dict[str, str | None]:
    """Return the values of a ``Cookie`` header by their names, and None for a name that has several."""
    found: dict[str, str | None] = {}
    for chunk in header.split(";"):
        key, equals, value = chunk.partition("=")
        if equals:
            name = key.strip(" \t")
            # RFC 6265 section 4.1.1: quotes around a value are the header's.
            found[name] = None if name in found else value.strip(' \t"')
    return found


_remembered_values = lru_cache(maxsize=REMEMBERED)(_values)


def _clear(response: HttpResponseBase, cookies: Iterable[_Cookie]) -> None:
    for cookie in cookies:
        _set(response, cookie, "", 0)


def _set(
    response: HttpResponseBase,
    cookie: _Cookie,
    value: str,
    max_age: int | None,
    samesite: Literal["Lax", "None"] = "Lax",
) -> None:
    if (size := len(cookie.name) + len(value)) > MAX_COOKIE:
        # The browser drops it, and refreshes with each request: slow, and nobody would know why.
        events.log("cookie too large", name=cookie.name, bytes=size)
    response.set_cookie(
        cookie.name,
        value,
        max_age=max_age,
        path=cookie.path,
        domain=cookie.domain,
        secure=token_settings().secure,
        httponly=True,
        samesite=samesite,
    )
