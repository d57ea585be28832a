"""``manage.py demo`` prints the addresses that a browser uses, and ``runserver`` serves that of ORIGIN."""

import pytest

from config.demo.management.commands.demo import addresses
from tests.config.test_environment import run

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


@pytest.mark.long
def test_are_those_of_origin():
    assert [*addresses("http://localhost:8000", 8000)] == [
        "http://localhost:8000/demo",
        "http://localhost:8000/",
        "http://localhost:8000/demo/factors",
        "http://localhost:8000/admin/",
        "http://localhost:8000/mailbox",
    ]


def test_behind_another_server_are_its_own_except_the_admins():
    assert [*addresses("http://localhost:3000", 8000)] == [
        "http://localhost:3000/demo",
        "http://localhost:3000/sign-in",
        "http://localhost:3000/demo/factors",
        "http://localhost:8000/admin/",
        "http://localhost:3000/mailbox",
    ]


def test_runserver_serves_the_address_of_an_origin_with_ipv6():
    done = run(SERVED, ORIGIN="http://[::1]:8123", DEBUG="true", ALLOWED_HOSTS="[::1]")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "::1 8123 True",
        "::1 8124 True",
        "127.0.0.1 8125 False",
        "::1 8126 True",
        "['[::1]'] noreply@[IPv6:::1]",
    ]
