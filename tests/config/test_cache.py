"""``CACHE_URL``: which cache it describes, and that no cache delays a request."""

import pytest
from django.core.cache import CacheHandler
from django.core.exceptions import ImproperlyConfigured

from config.environment import cache_settings

LOCAL, REDIS = "django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.redis.RedisCache"
BRIEFLY = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
URLS = {
    "locmemcache://": (LOCAL, "", {"MAX_ENTRIES": 100_000}),
    "redis://cache:6379": (REDIS, "redis://cache:6379", BRIEFLY),
    "rediss://:secret@cache:6379/1": (REDIS, "rediss://:secret@cache:6379/1", BRIEFLY),
    "redis:///run/redis.sock": (REDIS, "unix:///run/redis.sock", BRIEFLY),
    "valkey://cache:6379": (REDIS, "redis://cache:6379", BRIEFLY),
    "redis://cache?socket_timeout=2": (REDIS, "redis://cache", {**BRIEFLY, "socket_timeout": 2}),
}


@pytest.mark.parametrize(("url", "expected"), URLS.items(), ids=URLS)
def test_a_url_describes_a_cache_that_django_accepts(url, expected):
    found = cache_settings(url)
    assert (found["BACKEND"], found["LOCATION"], found["OPTIONS"], len(found)) == (*expected, 3)
    assert CacheHandler({"default": found})["default"]


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "/run/redis.sock", "redis"])
def test_any_other_url_is_rejected(url):
    with pytest.raises(ImproperlyConfigured, match=r"^CACHE_URL cannot be read\. Write redis://"):
        cache_settings(url)
