"""Trusted origins over http: refused where the settings are not for development, except on the user's own machine."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from tokens.conf import read, token_settings

LOOPBACK = [
    *("http://localhost", "http://localhost:3000", "http://app.localhost:3000", "http://127.0.0.1:8000"),
    *("http://127.1.2.3", "http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]"),
]
NETWORK = [
    *("http://example.org", "http://app.example.org:8080", "http://intranet", "http://192.168.1.5:3000"),
    *("http://localhost.example.org", "http://notlocalhost", "http://127.0.0.1.example.org", "http://[fe80::1]"),
    *("http://0.0.0.0:3000", "http://[::]:3000", "http://app.test"),
]


def ids() -> list[str]:
    return [str(message.id) for message in read()[1]]


@pytest.mark.parametrize("origin", NETWORK)
def test_the_server_does_not_start_with_one_on_the_network(origin, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": ["https://app.example.org", origin]}
    assert ids() == ["tokens.E034"]
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_ORIGINS"):
        token_settings()


@pytest.mark.parametrize("origin", LOOPBACK)
def test_one_on_the_users_own_machine_is_a_warning(origin, settings):
    settings.TOKENS = {"TRUSTED_ORIGINS": [origin]}
    assert ids() == ["tokens.W012"]
    assert token_settings().trusted_origins == (origin,)


@pytest.mark.parametrize("origin", [*LOOPBACK, *NETWORK])
def test_for_development_each_is_accepted(origin, settings):
    settings.DEBUG, settings.TOKENS = True, {"TRUSTED_ORIGINS": [origin]}
    assert ids() == []


def test_https_is_accepted_and_each_mistake_is_reported(settings):
    settings.TOKENS = {
        "TRUSTED_ORIGINS": ["https://a.example", "http://b.example", "http://localhost", "http://c.example"]
    }
    assert ids() == ["tokens.E034", "tokens.W012", "tokens.E034"]
