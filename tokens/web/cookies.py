r"""The cookies: their names and attributes, and the only code that sets or deletes them.

========================  ===============================  ======================================================
the access token          ``__Host-access``                modes ``cookie`` and ``scoped``
\                         ``__Secure-access``, Domain=     mode ``subdomain``: sent to all hosts of the site
the refresh token         ``__Host-refresh``               modes ``cookie`` and ``subdomain``: only this host
\                         ``__Secure-refresh``, Path=      mode ``scoped``: sent only to the auth API
the device token          ``__Host-device``                kept when the user signs out
an open browser           ``__Host-open``                  for bound sessions without "remember me"
========================  ===============================  ======================================================

All are HttpOnly and Secure, and all but ``__Host-open`` are SameSite=Lax. The prefix ``__Host-`` makes the browser
enforce Path=/ and no Domain (RFC 6265bis section 4.1.3.2). ``__Host-open`` is SameSite=None: it has to be sent with a
refresh that follows a link on another site, and it identifies nobody. The access cookie lives as long as the refresh
cookie, so that the server sees an expired token. The access cookie of a bound session (`tokens.protocol.dbsc`) lives
only as long as its token, because the browser refreshes when it is missing.

If `TokenSettings.origin` is http, which is allowed only in development, names have no prefix and cookies are not
Secure, because not every browser keeps such cookies from http://localhost.
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
"""Seconds by which the access cookie of a bound session expires before its token, at most a tenth of the lifetime.

A response takes time to arrive.
"""
DEVICE_LIFETIME = 400 * 86400
"""Seconds for which the device cookie is kept. Browsers keep no cookie longer (RFC 6265bis section 5.5)."""
REMEMBERED = 1024
"""How many parsed ``Cookie`` headers a process remembers. A browser sends the same header many times."""
MAX_REMEMBERED = 8192
"""Longer ``Cookie`` headers, in bytes, are not remembered, so that clients cannot fill the memory."""
MAX_COOKIE = 4096
"""Bytes of name and value. Browsers keep no larger cookie. Only a claims hook can make ours that large."""


@dataclass(frozen=True, slots=True)
class _Cookie:
    """A cookie. ``plain`` is its name without a prefix, for development over http."""

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
    """A refresh token as it was sent, and the storage modes whose tokens are sent in this way."""

    text: str
    modes: frozenset[str]


def read_access(request: HttpRequest) -> str | None:
    """Return the text of the access token, or None. A cookie that sibling hosts can set is read last."""
    for name in _names().access:
        if (text := _read(request, name)) is not None:
            return text
    return None


def read_refresh(request: HttpRequest) -> Presented | None:
    """Return the refresh token, or None."""
    for name, modes in _names().refresh:
        if text := _read(request, name):
            return Presented(text, modes)
    return None


def read_device(request: HttpRequest) -> str | None:
    """Return the device token, or None."""
    return _read(request, _DEVICE.name)


def is_open(request: HttpRequest) -> bool:
    """Return whether the browser has stayed open since its session was bound."""
    return _read(request, _OPEN.name) is not None


def set_tokens(response: HttpResponseBase, issued: IssuedTokens, now: datetime) -> None:
    """Set the cookies that carry these tokens.

    In mode ``body`` the client keeps its tokens itself, and gets no cookies.
    """
    if issued.session.mode == BODY:
        return
    # Without "remember me" the browser deletes the cookies when it is closed.
    max_age = max(int((issued.session.ends_at - now).total_seconds()), 1) if issued.session.remember else None
    access, refresh = _OF_MODE[issued.session.mode]
    if issued.is_new:
        # Cookies of another storage mode would bring back their session when this access token expires.
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
    """Return for how many seconds the browser keeps the access cookie of a bound session. None: it is not bound."""
    session = issued.session
    # While the key is pending, a client in mode ``scoped`` refreshes when it learns that the token has expired.
    if session.bound_key is None or (session.bound_at is None and session.mode != COOKIE and issued.keep_for is None):
        return None
    left = int(issued.access.expires_at - now.timestamp())
    left -= min(MARGIN, left // 10)
    # An expired cookie is not kept, so that the browser refreshes.
    return max(min(left, issued.keep_for or left), 0)


def bound_cookie(mode: str) -> tuple[str, str]:
    """Return the name and the attributes of the access cookie, for the configuration of a bound session."""
    access, _ = _OF_MODE[mode]
    return access.name, f"Path={access.path}; Secure; HttpOnly; SameSite=Lax"


def clear(response: HttpResponseBase) -> None:
    """Delete the tokens of every storage mode in use. The device cookie is kept: the device is still the same."""
    _clear(response, [*_served(0), *_served(1), *([_OPEN] if token_settings().device_bound == OFFER else [])])
    keep_private(response)


def clear_refresh(response: HttpResponseBase, session: RefreshToken) -> None:
    """Delete the refresh token of this session, which stays live without it."""
    _clear(response, [_OF_MODE[session.mode][1]])
    keep_private(response)


def clear_access(response: HttpResponseBase) -> None:
    """Delete the access token of every storage mode in use."""
    _clear(response, _served(0))
    keep_private(response)


def retry_without_access(request: HttpRequest) -> HttpResponse:
    """Return a redirect (307) to the same URL that deletes the access cookie.

    The browser keeps the method and the body. A browser with a bound session then refreshes before it repeats the
    request.
    """
    response = HttpResponse(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": request.get_full_path()})
    clear_access(response)
    return response


def keep_private(response: HttpResponseBase) -> None:
    """Keep a response that sets cookies out of all shared caches (RFC 9111 section 5.2.2)."""
    if response.get("Cache-Control") in {None, "no-store"}:
        response["Cache-Control"] = "private, no-store"
    else:
        patch_cache_control(response, private=True, no_store=True)
    vary(response)


def vary(response: HttpResponseBase) -> None:
    """Declare that the response depends on cookies (RFC 9110 section 12.5.5)."""
    if response.has_header("Vary"):
        patch_vary_headers(response, ("Cookie",))
    else:
        response["Vary"] = "Cookie"


def _served_modes() -> list[str]:
    """Return the storage modes with cookies that are in use. Pages always use cookies."""
    found = token_settings()
    return [mode for mode in _OF_MODE if mode in {*found.modes, found.mode_of_pages}]


def _served(which: int) -> list[_Cookie]:
    """Return the access (0) or refresh (1) cookies of the modes in use, those of a single host first."""
    cookies = dict.fromkeys(_OF_MODE[mode][which] for mode in _served_modes())
    return sorted(cookies, key=lambda cookie: not cookie.prefixed.startswith("__Host-"))


class _Names(NamedTuple):
    """The names of the access cookies, and the names of the refresh cookies with their storage modes."""

    access: tuple[str, ...]
    refresh: tuple[tuple[str, frozenset[str]], ...]


@lru_cache(maxsize=1)
def _names() -> _Names:
    """Return the names by the settings of this process."""
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
    """Return the value of the cookie with exactly this name, or None if there is none, or more than one.

    ``request.COOKIES`` is not used. Django strips Unicode white space from names, and keeps the last of several
    cookies. Browsers do not enforce the rules of a prefix after a no-break space. So a sibling host could set such a
    cookie, and sign our user in to its own account.
    """
    header = request.META.get("HTTP_COOKIE", "")
    return (_remembered_values if len(header) <= MAX_REMEMBERED else _values)(header).get(name)


def _values(header: str) -> dict[str, str | None]:
    """Return the values in a ``Cookie`` header by name. The value is None if a name comes more than once."""
    found: dict[str, str | None] = {}
    for chunk in header.split(";"):
        key, equals, value = chunk.partition("=")
        if equals:
            name = key.strip(" \t")
            # Quotes around a value do not belong to it (RFC 6265 section 4.1.1).
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
        # The browser drops the cookie, and then every request refreshes.
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
