"""The variables of the environment: CACHE_URL, DEBUG with a public ORIGIN, and an ORIGIN with an IPv6 address."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import CacheHandler
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from config.environment import cache_settings, host_of, mail_domain, public_debug

ROOT = Path(__file__).parents[2]
LOCAL, REDIS = "django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.redis.RedisCache"
BRIEFLY = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
"""No cache delays a request."""
CACHES = {
    "locmemcache://": (LOCAL, "", {"MAX_ENTRIES": 100_000}),
    "redis://cache:6379": (REDIS, "redis://cache:6379", BRIEFLY),
    "rediss://:secret@cache:6379/1": (REDIS, "rediss://:secret@cache:6379/1", BRIEFLY),
    "redis:///run/redis.sock": (REDIS, "unix:///run/redis.sock", BRIEFLY),
    "valkey://cache:6379": (REDIS, "redis://cache:6379", BRIEFLY),
    "redis://cache?socket_timeout=2": (REDIS, "redis://cache", {**BRIEFLY, "socket_timeout": 2}),
}


def run(code: str, **variables: str) -> Any:
    """Run code in a new process, which has only these variables, PATH and a secret."""
    secret = "a secret for tests that is long enough to be taken for a real one"
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": secret}
    command, options = [sys.executable, "-c", code], {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run(command, env={**environment, **variables}, **options)


@pytest.mark.parametrize(("url", "expected"), CACHES.items(), ids=CACHES)
def test_a_cache_url_describes_a_cache_that_django_accepts(url, expected):
    found = cache_settings(url)
    assert (found["BACKEND"], found["LOCATION"], found["OPTIONS"], len(found)) == (*expected, 3)
    assert CacheHandler({"default": found})["default"]


@pytest.mark.parametrize("url", ["cache:6379", "http://cache", "/run/redis.sock", "redis"])
def test_any_other_cache_url_is_rejected(url):
    with pytest.raises(ImproperlyConfigured, match=r"^CACHE_URL cannot be read\. Write redis://"):
        cache_settings(url)


class TestDebug:
    @pytest.mark.parametrize(
        "origin",
        [
            *("http://localhost:8000", "http://example.org", "https://localhost", "https://localhost:8443"),
            *("https://app.localhost", "https://APP.test:8443"),
        ],
    )
    def test_is_possible_at(self, origin):
        assert public_debug(origin, []) == ""

    @pytest.mark.parametrize(
        "origin",
        [
            *("https://example.org", "https://example.org:8443", "https://user@Example.org", "https://notlocalhost"),
            *("https://localhost.example.org", "https://app.test.example.org"),
            *("https://192.0.2.7", "https://[2001:db8::7]:443"),
        ],
    )
    def test_is_refused_at(self, origin):
        error = public_debug(origin, ["other.example.org"])
        assert error.startswith("DEBUG is on, and ORIGIN is https://")
        assert "user@" not in error
        named = error.rpartition("DEBUG_HOSTS to ")[2].removesuffix(".")
        assert public_debug(origin, [named]) == ""

    def test_is_possible_at_a_host_that_a_setting_names(self):
        assert public_debug("https://dev.example.org", ["other.example.org", " Dev.example.org"]) == ""

    @pytest.mark.parametrize("hosts", ["", "example.org"], ids=["does not start", "starts if a setting names it"])
    def test_at_a_public_origin_a_server(self, hosts):
        done = run("import config.settings", DEBUG="true", ORIGIN="https://example.org", DEBUG_HOSTS=hosts)
        assert (done.returncode == 0) is bool(hosts), done.stderr
        assert hosts or "ImproperlyConfigured: DEBUG is on, and ORIGIN is https://example.org." in done.stderr


class TestAnOriginWithIPv6:
    ORIGIN = "http://[::1]:8123"

    @pytest.mark.parametrize(
        ("origin", "host", "domain"),
        [
            ("http://[::1]:8000", "[::1]", "[IPv6:::1]"),
            ("https://[2001:db8::7]", "[2001:db8::7]", "[IPv6:2001:db8::7]"),
            ("https://example.org:8443", "example.org", "example.org"),
            ("https://example.org", "example.org", "example.org"),
            pytest.param("", "", "", id="no origin"),
        ],
    )
    def test_has_this_host(self, origin, host, domain):
        assert (host_of(origin), mail_domain(host)) == (host, domain)

    @pytest.mark.django_db
    @pytest.mark.at_length_on("sqlite")
    def test_is_that_of_a_form_which_is_accepted_and_no_other(self, settings, user):
        settings.DEBUG, settings.ORIGIN, settings.ALLOWED_HOSTS = True, self.ORIGIN, ["[::1]"]
        fields = {"email": user.email, "password": "a wrong one"}
        for origin, status in ((self.ORIGIN, 401), ("http://[::1]:8124", 403), ("http://[::2]:8123", 403)):
            client = Client(headers={"Host": "[::1]:8123", "Origin": origin})
            assert client.post("/api/auth/login", fields, content_type="application/json").status_code == status
