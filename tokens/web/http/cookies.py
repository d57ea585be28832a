"""Reads, sets and deletes the cookies of a session. `tokens.web.http.cookie_names` describes them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any, Literal, NamedTuple
from uuid import UUID

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import http_date

from tokens.conf import BODY, COOKIE, SCOPED, token_settings
from tokens.models import RefreshToken
from tokens.protocol.dbsc import VOUCHER_LENGTH
from tokens.service import binding, devices, events, lifetimes
from tokens.service.client import Client
from tokens.service.issuing import IssuedTokens, ends_with_browser
from tokens.service.refreshing import is_token_of
from tokens.web.http import duplicates
from tokens.web.http.cookie_names import (
    CLAIM,
    DEVICE,
    OF_MODE,
    OPEN,
    SCOPED_REFRESH,
    VOUCHERS,
    Cookie,
    is_sent,
    read,
    values_by_name,
)
from tokens.web.http.paths import is_auth_api

MARGIN = 10
"""Seconds by which the access cookie of a bound session expires before its token, at most a tenth of the lifetime.

A response takes time to arrive.
"""
DEVICE_LIFETIME = int(devices.LIFETIME.total_seconds())
"""Seconds for which the device cookie is kept."""
MAX_COOKIE = 4096
"""Bytes of name and value. Browsers keep no larger cookie. Only a claims hook can make ours that large."""
_VARY = "Cookie, Authorization"


class Presented(NamedTuple):
    """A refresh token as it was sent, and the storage modes whose tokens are sent in this way.

    - ``old_name``: whether it came in a cookie of the older name.
    - ``others``: further cookies of the same name. None: only this host can set such a cookie.
    """

    text: str
    modes: frozenset[str]
    old_name: bool = False
    others: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return "Presented()"  # A report of errors may show it.


def read_access(request: HttpRequest) -> str | None:
    """Return the text of the access token, or None. A cookie that sibling hosts can set is read last."""
    return read(request, _names().access, duplicates.access_token)


def read_refresh(request: HttpRequest) -> Presented | None:
    """Return the refresh token, or None."""
    return next(all_refresh(request), None)


def all_refresh(request: HttpRequest) -> Iterator[Presented]:
    """Yield the refresh tokens of all storage modes that the request has, the one that counts first."""
    for cookie, modes in _names().refresh:
        if not (found := values_by_name(request, cookie)):
            continue
        name, texts = next(iter(found.items()))
        if cookie is SCOPED_REFRESH:
            # A sibling host can have set the first of them, under each name.
            text, *others = (text for texts in found.values() for text in texts)
            if is_auth_api(request):
                yield Presented(text, modes, name == cookie.older_name, tuple(others))
            continue
        is_old = name == cookie.older_name
        chosen = texts[0] if len(texts) == 1 else duplicates.refresh_token(texts, old_name=is_old)
        if chosen is not None:
            yield Presented(chosen, modes, is_old)


def read_refresh_of(request: HttpRequest, session_id: UUID) -> Presented | None:
    """Return the refresh token, if it is one of this session, of any generation. This needs no query."""
    found = read_refresh(request)
    if found is None:
        return None
    texts = (found.text, *(found.others or ()))
    return found if any(is_token_of(text, session_id, old_name=found.old_name) for text in texts) else None


def expects_refresh(request: HttpRequest, mode: str) -> bool:
    """Return whether browsers send a refresh cookie of this storage mode with such a request."""
    return request.path.startswith(OF_MODE[mode][1].path)


def has_refresh(request: HttpRequest, mode: str) -> bool:
    """Return whether the request has a refresh cookie of this storage mode, of whatever session."""
    return bool(values_by_name(request, OF_MODE[mode][1]))


def read_device(request: HttpRequest) -> tuple[str | None, bool]:
    """Return the device token, or None, and whether a script can have planted it, because its cookie's name is old."""
    name, texts = next(iter(values_by_name(request, DEVICE).items()), (None, None))
    if texts is None:
        return None, False
    is_old = name == DEVICE.older_name
    text = texts[0] if len(texts) == 1 else duplicates.device_token(texts)
    if text is None or (is_old and text.startswith(devices.HTTP)):
        return None, False
    return text, is_old and token_settings().writes_http_names


def is_open(request: HttpRequest) -> bool:
    """Return whether the browser has stayed open since its session was bound."""
    return read(request, (OPEN.name,)) is not None


def vouchers(request: HttpRequest) -> Iterator[str]:
    """Yield what may be a voucher of a bound session. A sibling host can have set one of several."""
    for cookie in VOUCHERS.values() if is_auth_api(request) else [VOUCHERS[COOKIE]]:
        for texts in values_by_name(request, cookie).values():
            yield from [text for text in texts if len(text) == VOUCHER_LENGTH]


def set_tokens(
    request: HttpRequest, response: HttpResponseBase, issued: IssuedTokens, client: Callable[[], Client], now: datetime
) -> None:
    """Set the cookies that carry these tokens. ``client`` returns who sent the request.

    In mode ``body`` the client keeps its tokens itself, and gets no cookies.
    """
    if issued.session.mode == BODY:
        return
    # Without an age the browser deletes the cookies when it is closed.
    max_age = None
    if lifetimes.is_remembered(issued.session):
        max_age = max(int((lifetimes.kept_until(issued.session) - now).total_seconds()), 1)
    access, refresh = OF_MODE[issued.session.mode]
    if issued.is_new:
        # Cookies of another storage mode would bring back their session when this access token expires.
        _clear(request, response, {*_served(0), *_served(1)} - {access, refresh})
    bound_max_age = _max_age_of_access(issued, now)
    _set(response, access, issued.access_token, max_age if bound_max_age is None else bound_max_age)
    if ends_with_browser(issued.session):
        _set(response, OPEN, "1", None, "None")
    if issued.vouches:
        ends = issued.access.expires_at
        voucher = binding.voucher(issued.session.id, ends)
        _set(response, VOUCHERS[issued.session.mode], voucher, max(int(ends - now.timestamp()), 1))
    if issued.binds or issued.is_from_django:
        _clear(request, response, [refresh])
    if issued.refresh_token:
        _set(response, refresh, issued.refresh_token, max_age)
        _clear_other_names(request, response, refresh)
    if device_token := issued.device_token or _token_of_known_device(request, issued, client, now):
        _set(response, DEVICE, device_token, DEVICE_LIFETIME)
        _clear_other_names(request, response, DEVICE)
    keep_private(response)


def _token_of_known_device(
    request: HttpRequest, issued: IssuedTokens, client: Callable[[], Client], now: datetime
) -> str | None:
    """Return the token of the session's device if its cookie has to be set again, or None.

    The cookie gets its new name, or, in mode ``scoped``, it has to outlive the session.
    """
    is_renewed = issued.is_new and issued.session.mode == SCOPED
    if not token_settings().writes_http_names or not (is_renewed or is_sent(request, DEVICE.older_name)):
        return None
    # Only these answers have read the device with the session.
    if not issued.is_new and issued.decision is None:
        return None
    holder = client()
    return holder.device_token if devices.is_held(issued.session.device, holder, now) else None


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
    access, _ = OF_MODE[mode]
    return access.name, f"Path={access.path}; Secure; HttpOnly; SameSite=Lax"


def clear(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the tokens of every storage mode in use. The device cookie is kept: the device is still the same."""
    of_binding = [cookie for cookie in (OPEN, CLAIM, *VOUCHERS.values()) if is_sent(request, cookie.name)]
    _clear(request, response, [*_served(0), *_served(1), *of_binding])
    keep_private(response)


def clear_refresh(request: HttpRequest, response: HttpResponseBase, session: RefreshToken) -> None:
    """Delete the refresh token of this session, which stays live without it."""
    _clear(request, response, [OF_MODE[session.mode][1]])
    keep_private(response)


def clear_access(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the access token of every storage mode in use."""
    _clear(request, response, _served(0))
    keep_private(response)


def retry_without_access(request: HttpRequest) -> HttpResponse:
    """Return a redirect (307) to the same URL that deletes the access cookie.

    The browser keeps the method and the body. A browser with a bound session then refreshes before it repeats the
    request.
    """
    response = HttpResponse(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": request.get_full_path()})
    clear_access(request, response)
    return response


def keep_private(response: HttpResponseBase) -> None:
    """Keep a response that sets cookies out of all shared caches (RFC 9111 section 5.2.2)."""
    if response.get("Cache-Control") in {None, "no-store"}:
        response["Cache-Control"] = "private, no-store"
    else:
        patch_cache_control(response, private=True, no_store=True)
    vary(response)


def vary(response: HttpResponseBase) -> None:
    """Declare that the response depends on who is asking: on cookies and tokens (RFC 9110 section 12.5.5)."""
    varies_on = response.get("Vary")
    if varies_on is None:
        response["Vary"] = _VARY
    elif varies_on != _VARY:
        patch_vary_headers(response, _VARY.split(", "))


def _served_modes() -> list[str]:
    """Return the storage modes with cookies that are in use. Pages always use cookies."""
    found = token_settings()
    return [mode for mode in OF_MODE if mode in {*found.modes, found.mode_of_pages}]


def _served(which: int) -> list[Cookie]:
    """Return the access (0) or refresh (1) cookies of the modes in use, those of a single host first."""
    cookies = dict.fromkeys(OF_MODE[mode][which] for mode in _served_modes())
    return sorted(cookies, key=lambda cookie: not cookie.prefixed.startswith("__Host-"))


class _Names(NamedTuple):
    """The names of the access cookies, and the refresh cookies with their storage modes."""

    access: tuple[str, ...]
    refresh: tuple[tuple[Cookie, frozenset[str]], ...]


@lru_cache(maxsize=1)
def _names() -> _Names:
    """Return the names by the settings of this process."""
    modes_of = {cookie: {mode for mode in _served_modes() if cookie in OF_MODE[mode]} for cookie in _served(1)}
    return _Names(
        access=tuple(cookie.name for cookie in _served(0)),
        refresh=tuple((cookie, frozenset(modes)) for cookie, modes in modes_of.items()),
    )


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "DEBUG"}:
        _names.cache_clear()


@lru_cache(maxsize=4)
def _http_date(seconds: int) -> str:
    """Return when a cookie expires. Django computes it for each cookie, but those of a response end together."""
    return http_date(seconds)


def _clear(request: HttpRequest, response: HttpResponseBase, cookies: Iterable[Cookie]) -> None:
    """Delete these cookies, under every name."""
    for cookie in cookies:
        _set(response, cookie, "", 0)
        _clear_other_names(request, response, cookie)


def _clear_other_names(request: HttpRequest, response: HttpResponseBase, cookie: Cookie) -> None:
    """Delete the cookie under the names that are not written, if the browser may have it."""
    for name in cookie.names:
        if name != cookie.name and (is_sent(request, name) or not request.path.startswith(cookie.path)):
            _set(response, cookie, "", 0, name=name)


def _set(
    response: HttpResponseBase,
    cookie: Cookie,
    value: str,
    max_age: int | None,
    samesite: Literal["Lax", "None"] = "Lax",
    name: str | None = None,
) -> None:
    """Set a cookie, under the name that is written unless ``name`` is given."""
    name = name or cookie.name
    if (size := len(name) + len(value)) > MAX_COOKIE:
        # The browser drops the cookie, and then every request refreshes.
        events.log("cookie too large", name=name, bytes=size)
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        expires=_http_date(int(time()) + max_age) if max_age else None,
        path=cookie.path,
        domain=cookie.domain,
        secure=token_settings().secure,
        httponly=True,
        samesite=samesite,
    )
