"""ORIGIN with an IPv6 address."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from config.environment import host_of, mail_domain

ROOT = Path(__file__).parents[2]
ORIGIN = "http://[::1]:8123"
SERVED = """
import django, socket
django.setup()
from django.conf import settings
from django.core.management import load_command_class
command = load_command_class("config.demo", "runserver")
command.run = lambda **options: None
for given in (None, "8124", "127.0.0.1:8125", "[::1]:8126"):
    command.handle(addrport=given, use_ipv6=False)
    print(command.addr, command.port, command._raw_ipv6)
print(settings.ALLOWED_HOSTS, settings.DEFAULT_FROM_EMAIL)
"""


@pytest.mark.parametrize(
    ("origin", "host", "domain"),
    [
        ("http://[::1]:8000", "[::1]", "[IPv6:::1]"),
        ("https://[2001:db8::7]", "[2001:db8::7]", "[IPv6:2001:db8::7]"),
        ("https://example.org:8443", "example.org", "example.org"),
        ("https://example.org", "example.org", "example.org"),
        ("", "", ""),
    ],
)
def test_the_host_of_an_origin(origin, host, domain):
    assert (host_of(origin), mail_domain(host)) == (host, domain)


def printed(code: str, **variables: str) -> list[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": "x7" * 40, **variables}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_runserver_serves_the_address_of_the_origin():
    assert printed(SERVED, ORIGIN=ORIGIN, DEBUG="true", ALLOWED_HOSTS="[::1]") == [
        "::1 8123 True",
        "::1 8124 True",
        "127.0.0.1 8125 False",
        "::1 8126 True",
        "['[::1]'] noreply@[IPv6:::1]",
    ]


@pytest.mark.django_db
@pytest.mark.at_length_on("sqlite")
def test_a_form_of_that_origin_is_accepted_and_no_other(settings, user):
    settings.DEBUG, settings.ORIGIN, settings.ALLOWED_HOSTS = True, ORIGIN, ["[::1]"]
    fields = {"email": user.email, "password": "a wrong one"}
    for origin, status in ((ORIGIN, 401), ("http://[::1]:8124", 403), ("http://[::2]:8123", 403)):
        client = Client(headers={"Host": "[::1]:8123", "Origin": origin})
        assert client.post("/api/auth/login", fields, content_type="application/json").status_code == status
