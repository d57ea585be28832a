"""Django's session cookie, and whether the session of a request is the one that it names."""

from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest


def session_cookie(request: HttpRequest) -> str | None:
    """Return the value of Django's session cookie, or None."""
    return request.COOKIES.get(session_cookie_settings().name) or None


class SessionCookieSettings(NamedTuple):
    """Django's settings that each request needs. ``django.conf.settings`` takes longer to look them up."""

    name: str
    is_always_saved: bool


@lru_cache(maxsize=1)
def session_cookie_settings() -> SessionCookieSettings:
    """Return them by the settings of this process."""
    return SessionCookieSettings(settings.SESSION_COOKIE_NAME, settings.SESSION_SAVE_EVERY_REQUEST)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"SESSION_COOKIE_NAME", "SESSION_SAVE_EVERY_REQUEST"}:
        session_cookie_settings.cache_clear()


def is_replaced(request: HttpRequest) -> bool:
    """Return whether the session of the request is not the one of its cookie. The session is not loaded for this.

    Another middleware has put it there, for example because the client of an app names it in a header.
    """
    session = getattr(request, "session", None)
    return session is not None and session.session_key not in {None, "", session_cookie(request)}
