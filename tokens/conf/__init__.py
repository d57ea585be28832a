"""The settings of `tokens`, and what every process derives from them once: its keys and its codec of access tokens.

Settings are the dictionary ``TOKENS`` in Django's settings. An environment variable ``TOKENS_<NAME>`` takes precedence.
Nothing outside of this package reads ``settings.TOKENS``.

- `settings`: every setting, its default and its unit.
- `reading`: reads them from the dictionary and the environment.
- `validation`: finds contradictory and unsafe settings. `tokens.checks` shows the same messages as system checks.
- `rates`, `body_limits`, `signing_keys`, `introspection_clients`, `methods`: the settings that have a syntax of their
  own.
"""

from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from tokens.conf.reading import read
from tokens.conf.settings import (
    BODY,
    COOKIE,
    FOREVER,
    MODES,
    OFF,
    OFFER,
    SCOPED,
    SETTINGS,
    SUBDOMAIN,
    TokenSettings,
)
from tokens.protocol.access_tokens import Codec
from tokens.protocol.keys import KeyRing, derive

__all__ = [
    "BODY",
    "COOKIE",
    "FOREVER",
    "MODES",
    "OFF",
    "OFFER",
    "SCOPED",
    "SETTINGS",
    "SUBDOMAIN",
    "TokenSettings",
    "codec",
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


@lru_cache(maxsize=1)
def keyring() -> KeyRing:
    """Return all keys of this process."""
    return derive([django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS], token_settings().keys)


@lru_cache(maxsize=1)
def codec() -> Codec:
    """Return what makes and verifies the access tokens of this process."""
    found = token_settings()
    return Codec(keyring(), found.issuer, found.audience, found.client_id, found.service_audience)


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"TOKENS", "ORIGIN", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "DEBUG"}:
        for cached in (read, token_settings, keyring, codec):
            cached.cache_clear()
