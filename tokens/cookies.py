"""The cookies: their names, their attributes, and the only code that sets or clears them.

============  =====================  ========================================================================
``access``    ``__Host-access``      the access token; lives as long as the refresh token, so that the server
                                     sees an expired token as expired
``refresh``   ``__Host-refresh``     the refresh token, in ``cookie`` mode alone
``device``    ``__Host-device``      what the browser is recognised by; stays when somebody signs out
============  =====================  ========================================================================

All are HttpOnly, Secure, SameSite=Lax, Path=/ and without a Domain, which ``__Host-`` makes the browser enforce
(RFC 6265bis section 4.1.3.2). Where `TokenSettings.origin` is plain http, which only development may have, they lose
the prefix and Secure: not every browser keeps such cookies from http://localhost.
"""

from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

from tokens.conf import COOKIE, token_settings
from tokens.service.grants import Grant

ACCESS, REFRESH, DEVICE = "access", "refresh", "device"
DEVICE_LIFETIME = 400 * 86400
"""Seconds; no browser keeps a cookie longer (RFC 6265bis section 5.5)."""


def name_of(cookie: str) -> str:
    """Return the full name of one of the cookies."""
    return f"__Host-{cookie}" if token_settings().secure else cookie


def read(request: HttpRequest, cookie: str) -> str | None:
    """Return the cookie's value, or None."""
    return request.COOKIES.get(name_of(cookie))


def set_grant(response: HttpResponseBase, grant: Grant, now: datetime) -> None:
    """Set the cookies that carry this grant. A session whose client keeps its tokens itself gets none."""
    if grant.session.mode != COOKIE:
        return
    # Without "remember me" the cookies go with the browser.
    max_age = max(int((grant.session.ends_at - now).total_seconds()), 1) if grant.session.remember else None
    _set(response, ACCESS, grant.access_token, max_age)
    if grant.refresh_token:
        _set(response, REFRESH, grant.refresh_token, max_age)
    if grant.device_token:
        _set(response, DEVICE, grant.device_token, DEVICE_LIFETIME)
    keep_private(response)


def clear(response: HttpResponseBase) -> None:
    """Clear the tokens. The device's cookie stays: the browser is still that browser."""
    for cookie in (ACCESS, REFRESH):
        _set(response, cookie, "", 0)
    keep_private(response)


def keep_private(response: HttpResponseBase) -> None:
    """Keep a response that sets cookies out of every shared cache (RFC 9111 section 5.2.2)."""
    patch_cache_control(response, private=True, no_store=True)
    patch_vary_headers(response, ("Cookie",))


def _set(response: HttpResponseBase, cookie: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        name_of(cookie), value, max_age=max_age, path="/", secure=token_settings().secure, httponly=True, samesite="Lax"
    )
