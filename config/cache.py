"""The cache, from ``CACHE_URL``: where the throttles of all processes count.

``redis://host:6379`` is Redis or Valkey, ``rediss://`` the same over TLS, ``redis:///path/to/socket`` on this machine;
``locmemcache://`` is of this process alone.
"""

import re
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

OPTIONS: dict[str, dict[str, Any]] = {
    # Seconds. No request hangs on it: what it does not answer in time is not throttled.
    "RedisCache": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    # Room for more accounts than a guesser can try, or old numbers would make way for new ones.
    "LocMemCache": {"MAX_ENTRIES": 100_000},
}


def cache_settings(url: str) -> dict[str, Any]:
    """Return the cache of Django's ``CACHES`` that the URL describes; options in it go before ours."""
    try:
        # Valkey speaks Redis's protocol, and has a scheme of its own.
        found: dict[str, Any] = environ.Env.cache_url_config(re.sub("^valkey", "redis", url))
    except (ImproperlyConfigured, KeyError):
        raise ImproperlyConfigured("CACHE_URL cannot be read. Write redis://host:6379, or locmemcache://.") from None
    ours = OPTIONS.get(found["BACKEND"].rpartition(".")[2], {})
    return {**found, "OPTIONS": {**ours, **found.get("OPTIONS", {})}}
