"""The settings of `tokens`, and what every process derives from them once: its keys and its codec of access tokens.

Settings are the dictionary ``TOKENS`` in Django's settings. An environment variable ``TOKENS_<NAME>`` takes precedence.
Nothing outside of this package reads ``settings.TOKENS``.

- `settings`: every setting, its default and its unit.
- `reading`: reads them from the dictionary and the environment.
- `validation`: finds contradictory and unsafe settings. `tokens.checks` shows the same messages as system checks.
- `rates`, `body_limits`, `signing_keys`, `introspection_clients`, `methods`, `lifetimes`: the settings that have a
  syntax of their own.
- `hooks`: the functions and classes of the project that settings name.
- `tenants`: the tenant that the running code works for.
"""

from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from tokens.conf import tenants
from tokens.conf.hooks import EVERYBODY, NOBODY, STAFF
from tokens.conf.reading import is_given, read
from tokens.conf.settings import (
    ALWAYS,
    BODY,
    BOUND,
    COOKIE,
    FOREVER,
    MODES,
    NEVER,
    OFF,
    OFFER,
    SCOPED,
    SETTINGS,
    SUBDOMAIN,
    TokenSettings,
)
from tokens.protocol.access_tokens import REMEMBERED, AccessToken, Codec, Share
from tokens.protocol.bounded_cache import BoundedCache
from tokens.protocol.keys import KeyRing, derive

__all__ = [
    "ALWAYS",
    "BODY",
    "BOUND",
    "COOKIE",
    "EVERYBODY",
    "FOREVER",
    "MODES",
    "NEVER",
    "NOBODY",
    "OFF",
    "OFFER",
    "SCOPED",
    "SETTINGS",
    "STAFF",
    "SUBDOMAIN",
    "TokenSettings",
    "codec",
    "codec_of",
    "is_given",
    "keyring",
    "read",
    "token_settings",
]


@lru_cache(maxsize=1)
def token_settings() -> TokenSettings:
    """Return the settings. Raise `ImproperlyConfigured` with all errors if one of them is wrong or unsafe."""
    found, messages = read()
    if errors := [str(message.msg) for message in messages if message.level >= ERROR]:
        raise ImproperlyConfigured(" ".join(errors))
    return found


def keyring() -> KeyRing:
    """Return all keys of the tenant of this request, or of the deployment if it has no tenants."""
    return _keyring(tenants.current())


def codec() -> Codec:
    """Return what makes and verifies the access tokens of this process, for the tenant of this request."""
    return codec_of(tenants.current())


@lru_cache(maxsize=tenants.KEPT)
def _keyring(tenant: str) -> KeyRing:
    found = token_settings()
    named = tenants.keys_of(tenant, found.keys_of_tenant(tenant) or ()) if tenant and found.keys_of_tenant else ()
    return derive([django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS], named or found.keys, tenant)


@lru_cache(maxsize=tenants.KEPT)
def codec_of(tenant: str) -> Codec:
    """Return what makes and verifies the access tokens of this process for this tenant, or without one."""
    found = token_settings()
    audiences = found.audience, found.client_id, found.service_audience
    good = Share(_good_of_tenants()) if tenant else None
    return Codec(_keyring(tenant), found.issuer, *audiences, tenant=tenant, good=good)


@lru_cache(maxsize=1)
def _good_of_tenants() -> BoundedCache[tuple[int, str], AccessToken]:
    """Return the tokens of all tenants that this process has verified last. A budget for each would have no limit."""
    return BoundedCache(REMEMBERED)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "DEBUG"}:
        for cached in (read, token_settings, _keyring, codec_of, _good_of_tenants):
            cached.cache_clear()
