"""What the path of a request says: whether it is for the auth API, and whether a user is going to a page."""

from functools import lru_cache
from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

DEVICE_REGISTER, DEVICE_REFRESH = "device/register", "device/refresh"
FACTOR = "factor"
HANDLES_REFRESH_TOKEN = ("login", "passkey", FACTOR, "refresh", "logout", DEVICE_REGISTER, DEVICE_REFRESH)
"""The views before which the middleware must not refresh: they read the refresh cookie themselves, or replace it."""


@lru_cache(maxsize=1)
def auth_api() -> str | None:
    """Return the path of the auth API with its slash, such as ``/api/auth/``. None if it is not in the URLs."""
    try:
        return reverse("tokens:login").removesuffix("login")
    except NoReverseMatch:
        return None


def is_auth_api(request: HttpRequest) -> bool:
    """Return whether the request is for the auth API."""
    root = auth_api()
    return root is not None and request.path.startswith(root)


def handles_refresh_token(request: HttpRequest) -> bool:
    """Return whether the middleware must not refresh before the view of this request."""
    return request.path.rstrip("/") in _refreshing_themselves()


@lru_cache(maxsize=1)
def _refreshing_themselves() -> frozenset[str]:
    root = auth_api()
    return frozenset() if root is None else frozenset(root + name for name in HANDLES_REFRESH_TOKEN)


def is_refresh(request: HttpRequest) -> bool:
    """Return whether the request is for the refresh endpoint."""
    root = auth_api()
    return root is not None and request.path.rstrip("/") == f"{root}refresh"


def is_for_device(request: HttpRequest) -> bool:
    """Return whether the browser itself sends the request, for a session that is bound to its device."""
    root = auth_api()
    return root is not None and request.path.rstrip("/") in {root + DEVICE_REGISTER, root + DEVICE_REFRESH}


def is_navigation(request: HttpRequest) -> bool:
    """Return whether a user is going to a page. Browsers say so in a header; for others it is a guess."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def is_followed_by_cookies(request: HttpRequest) -> bool:
    """Return whether the browser sends SameSite cookies with a request that the response to this one causes.

    False also for pictures and other parts of a page, of which there are many at a time.
    """
    is_own_site = request.headers.get("Sec-Fetch-Site") != "cross-site"
    return is_own_site and request.headers.get("Sec-Fetch-Dest", "empty") in {"document", "empty"}


def forget() -> None:
    """Forget where the auth API is, because the URLs have changed."""
    auth_api.cache_clear()
    _refreshing_themselves.cache_clear()


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "ROOT_URLCONF":
        forget()
