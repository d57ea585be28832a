"""System checks: what is wrong with the settings, before anybody signs in.

``tokens.E009``: the database is one whose transactions the revocation feed cannot follow. ``E010``: the middleware is
missing. ``E011``: it stands where it cannot work. ``E012``: TRUSTED_PROXIES cannot be read. ``E013``: the claims hook
cannot be called. ``E016``: Django's own authentication middleware is there too. ``E030``: instants have no time zone.
``W003``: sign-ins are not throttled. ``W004``: the throttles of several processes would not know of each other.
All others: see `tokens.conf`.
"""

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.utils.module_loading import import_string

from tokens.backends import ModelBackend
from tokens.conf import read
from tokens.database import writer
from tokens.handover import OUR_BACKEND
from tokens.models import RefreshToken

MIDDLEWARE = "tokens.middleware.TokenMiddleware"
DJANGO_MIDDLEWARE = "django.contrib.auth.middleware.AuthenticationMiddleware"


@register(Tags.security)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    found, mistakes = read()
    messages: list[CheckMessage] = [
        (Error if mistake.serious else Warning)(mistake.message, hint=mistake.hint, id=f"tokens.{mistake.id}")
        for mistake in mistakes
    ]
    if found.claims_hook:
        try:
            wrong = "" if callable(import_string(found.claims_hook)) else "it is no function"
        except (ImportError, TypeError, ValueError) as error:
            wrong = str(error)
        if wrong:
            hint = "A dotted path: package.module.name"
            messages.append(Error(f"CLAIMS_HOOK: {wrong}.", hint=hint, id="tokens.E013"))
    return messages


@register(Tags.security)
def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in order:
        hint = f"Put {MIDDLEWARE!r} where {DJANGO_MIDDLEWARE!r} stands."
        return [Error(f"{MIDDLEWARE} is not in MIDDLEWARE.", hint=hint, id="tokens.E010")]
    if not any(_is_session_middleware(path) for path in order[: order.index(MIDDLEWARE)]):
        hint = "Signing in and out writes request.session, with or without Django's session app."
        return [Error(f"{MIDDLEWARE} does not stand behind SessionMiddleware.", hint=hint, id="tokens.E011")]
    if DJANGO_MIDDLEWARE in order:
        hint = f"Remove {DJANGO_MIDDLEWARE!r}: whichever comes last decides who somebody is."
        return [Error("Both Django's authentication middleware and ours are there.", hint=hint, id="tokens.E016")]
    return []


def _is_session_middleware(path: str) -> bool:
    found = import_string(path)
    return isinstance(found, type) and issubclass(found, SessionMiddleware)


@register(Tags.security)
def check_proxies(**kwargs: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for proxy in getattr(settings, "TRUSTED_PROXIES", ()):
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            hint = "Addresses or networks: 10.0.0.0/8, ::1"
            messages.append(Error(f"TRUSTED_PROXIES: {error}.", hint=hint, id="tokens.E012"))
    return messages


@register(Tags.security)
def check_time_zone(**kwargs: Any) -> list[CheckMessage]:
    if settings.USE_TZ:
        return []
    hint = "Set USE_TZ = True, Django's default since 5.0; how to get there: Django's documentation, “Time zones”."
    return [Error("USE_TZ is off: sessions end at instants, not at local times.", hint=hint, id="tokens.E030")]


@register(Tags.security)
def check_backends(**kwargs: Any) -> list[CheckMessage]:
    throttled = any(issubclass(import_string(path), ModelBackend) for path in settings.AUTHENTICATION_BACKENDS)
    if throttled or read()[0].throttles.are_off:
        return []
    hint = f"Put {OUR_BACKEND!r} first in AUTHENTICATION_BACKENDS, in the place of Django's, or set THROTTLES = off."
    return [Warning("Sign-ins are not throttled.", hint=hint, id="tokens.W003")]


@register(Tags.security, deploy=True)
def check_cache(**kwargs: Any) -> list[CheckMessage]:
    if read()[0].throttles.are_off or not settings.CACHES["default"]["BACKEND"].endswith(
        (".LocMemCache", ".DummyCache")
    ):
        return []
    hint = "Set CACHE_URL to a Redis, Valkey or Memcached; silence this where one process serves all."
    return [Warning("Each process counts for itself what is throttled.", hint=hint, id="tokens.W004")]


@register(Tags.database)
def check_database(**kwargs: Any) -> list[CheckMessage]:
    vendor = connections[writer(RefreshToken)].vendor
    if vendor in {"postgresql", "sqlite"}:
        return []
    return [Error(f"{vendor} is not supported.", hint="Use PostgreSQL 15 or newer, or SQLite.", id="tokens.E009")]
