"""``manage.py demo`` prints the addresses that a browser uses, and ``runserver`` serves that of ORIGIN."""

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


OWN, FRONT = "http://localhost:8000", "http://localhost:3000"
PAGES = [f"{FRONT}/demo", f"{FRONT}/sign-in", f"{FRONT}/demo/factors", f"{OWN}/admin/", f"{FRONT}/mailbox"]


def test_are_those_of_origin():
    pages = ("/demo", "/", "/demo/factors", "/admin/", "/mailbox")
    assert [*addresses(OWN, 8000)] == [f"{OWN}{page}" for page in pages]


def test_behind_another_server_are_its_own_except_the_admins():
    assert [*addresses(FRONT, 8000)] == PAGES


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
