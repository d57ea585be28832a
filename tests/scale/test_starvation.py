"""One registered user who signs in in a loop keeps nobody from signing in. Passwords cost what they really do."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from tests.scale.cluster import Cluster, Node
from tests.scale.people import Account, Browser
from tests.tokens.service.processes import Process

CONNECTIONS, HONEST = 4, 25
REAL = {"DJANGO_SETTINGS_MODULE": "config.settings", "TOKENS_MAX_HASHINGS": "1"}
"""The project's own settings, with the real cost of a password and one turn, as on a machine with two cores."""


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Iterator[Node]:
    """A node with the real cost of a password. With a cheap one, no sign-in would have to wait for its turn."""
    with cluster.another_node(**REAL) as found:
        yield found


@pytest.fixture(scope="module")
def accounts(cluster: Cluster) -> Iterator[list[Account]]:
    """An attacker's account, and those of honest users, with real password hashes."""
    process = Process(cluster.url, **{**cluster.environment, **REAL})
    yield [Account(cluster.origin).open(process) for _ in range(1 + 2 * HONEST)]
    process.stop()


def sign_in(browser: Browser, node: Node, account: Account, address: str) -> int:
    data = {"email": account.email, "password": account.password}
    return browser.post_json(node, "/api/auth/login", data, **{"X-Forwarded-For": address}).status


@contextmanager
def attack(node: Node, account: Account, *, keeps_cookies: bool) -> Iterator[Counter[int]]:
    """Sign in correctly in a loop, on four connections, from one address. Yield how often each status was answered."""
    stop, statuses = Event(), Counter[int]()

    def loop() -> None:
        browser = Browser(account.origin)
        while not stop.is_set():
            statuses[sign_in(browser, node, account, "203.0.113.1")] += 1
            if not keeps_cookies:
                browser = Browser(account.origin)

    threads = [Thread(target=loop) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("keeps_cookies", [False, True], ids=["new devices", "known devices"])
def test_while_four_connections_sign_in_in_a_loop_all_others_sign_in(node, accounts, cluster, keeps_cookies):
    cluster.redis.client.flushall()
    attacker, *others = accounts
    honest = others[:HONEST] if keeps_cookies else others[HONEST:]
    with attack(node, attacker, keeps_cookies=keeps_cookies) as statuses:
        found = [
            sign_in(Browser(cluster.origin), node, account, f"198.51.{number}.7")
            for number, account in enumerate(honest)
        ]
    sys.stdout.write(f"\nhonest: {dict(Counter(found))}, attacker: {dict(statuses)}\n")
    assert found == [200] * HONEST
