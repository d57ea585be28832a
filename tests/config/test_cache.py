"""``CACHE_URL``: which cache it means, and that none of them holds a request up."""

import pytest
from django.core.cache import CacheHandler
from django.core.exceptions import ImproperlyConfigured

from config.cache import cache_settings

BACKENDS = "django.core.cache.backends"
BRIEFLY = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}


@pytest.mark.parametrize(
    ("url", "backend", "location", "options"),
    [
        ("locmemcache://", "locmem.LocMemCache", "", {"MAX_ENTRIES": 100_000}),
        ("redis://cache:6379", "redis.RedisCache", "redis://cache:6379", BRIEFLY),
        ("rediss://:secret@cache:6379/1", "redis.RedisCache", "rediss://:secret@cache:6379/1", BRIEFLY),
        ("redis:///run/redis.sock", "redis.RedisCache", "unix:///run/redis.sock", BRIEFLY),
        ("valkey://cache:6379", "redis.RedisCache", "redis://cache:6379", BRIEFLY),
        ("redis://cache?socket_timeout=2", "redis.RedisCache", "redis://cache", {**BRIEFLY, "socket_timeout": 2}),
    ],
)
def test_the_url_says_where_the_cache_is(url, backend, location, options):
    found = cache_settings(url)
    assert found == {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": location, "OPTIONS": options}


@pytest.mark.parametrize("url", ["locmemcache://", "redis://cache:6379", "valkey://cache:6379"])
def test_django_takes_it(url):
    assert CacheHandler({"default": cache_settings(url)})["default"]


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "/run/redis.sock", "redis"])
def test_a_url_that_means_none_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match=r"^CACHE_URL cannot be read\. Write redis://"):
        cache_settings(url)
