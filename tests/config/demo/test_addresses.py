"""``manage.py demo`` prints the addresses that a browser uses."""

from config.demo.management.commands.demo import addresses


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
