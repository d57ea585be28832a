"""A changed account on two nodes, while an attacker who knows the old password uses the other node."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from time import sleep

import pytest

from tests.clients.projects import Server
from tests.scale.cluster import Cluster, Node, wait_for
from tests.scale.people import SIGNED_OUT, Account, Browser

LAGS = 2
"""Seconds. The feed is read once a second, and a replica may be that far behind."""
NEW = "what the owner has chosen meanwhile"
CONNECTIONS = 4
ROUNDS = [pytest.param(5, id="5 rounds"), pytest.param(50, id="50 rounds", marks=pytest.mark.exhaustive)]


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[list[Node]]:
    """Two nodes without throttles. They would end the attacker's sign-ins, which come from one network, before long."""
    with ExitStack() as stack:
        yield [stack.enter_context(cluster.another_node(TOKENS_THROTTLES="off")) for _ in range(2)]


class Attacker:
    """Signs in with the old password again and again, over several connections."""

    def __init__(self, node: Server, account: Account) -> None:
        self._node, self._account = node, account
        self._stop = Event()
        self.browsers: list[Browser] = []

    def _loop(self) -> None:
        while not self._stop.is_set():
            browser = Browser(self._account.origin)
            if browser.try_to_sign_in(self._node, self._account).status == 200:
                self.browsers.append(browser)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            loops = [pool.submit(self._loop) for _ in range(CONNECTIONS)]
            try:
                wait_for(lambda: self.browsers, "a sign-in with the old password")
                yield
            finally:
                self._stop.set()
        for loop in loops:
            loop.result()


def change_password(nodes: list[Node], account: Account) -> tuple[Browser, Attacker, list[int]]:
    """Let the owner change the password on one node, and the attacker sign in and ask for a new address on the other.

    Return the owner's browser, the attacker, and the statuses of the requests for a new address.
    """
    a, b = nodes
    owner, attacker = account.browser(a), Attacker(b, account)
    with attacker.at_work():
        known = attacker.browsers[0]
        assert known.me(b).status == 200
        change = {"current_password": account.password, "new_password": NEW}
        assert owner.post_json(a, "/api/auth/password/change", change).status == 204
        asked = [known.post_json(b, "/api/auth/email/change", {"email": "thief@app.test"}).status for _ in "123"]
    return owner, attacker, asked


@pytest.mark.parametrize("rounds", ROUNDS)
def test_nobody_with_the_old_password_is_left_after_the_owner_has_changed_it(cluster, nodes, registrar, rounds):
    """Each round is one account. Survivors are sessions of the old password, and addresses that were moved with it."""
    changed = [change_password(nodes, Account(cluster.origin).open(registrar)) for _ in range(rounds)]
    sleep(LAGS)
    survivors = [
        number
        for number, (_, attacker, asked) in enumerate(changed)
        if 202 in asked or any(one.me(node).status == 200 for one in attacker.browsers for node in nodes)
    ]
    assert survivors == []
    assert {owner.me(node).status for owner, _, _ in changed for node in nodes} == {200}


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_session_is_left_after_a_program_has_written_another_password_hash(cluster, nodes, registrar, rounds):
    accounts = [Account(cluster.origin).open(registrar) for _ in range(rounds)]
    browsers = [[account.browser(node) for node in nodes] for account in accounts]
    assert {one.me(node).status for pair in browsers for one in pair for node in nodes} == {200}
    for account in accounts:
        cluster.primary.ask("UPDATE accounts_user SET password = 'another' WHERE email = %s", account.email)
    sleep(LAGS)
    statuses = {one.me(node).status for pair in browsers for one in pair for node in nodes}
    assert statuses == {SIGNED_OUT}
