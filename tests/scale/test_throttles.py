"""Two nodes count for their throttles together, in Redis. Without Redis they serve requests without throttles."""

from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from time import sleep

import pytest

from tests.clients.projects import Answer, Server
from tests.scale.cluster import Cluster, Node, Redis, redis_started, wait_for
from tests.scale.people import SIGNED_OUT, Account, Browser
from tests.tokens.service.processes import Process, together
from tokens.service.throttles import PAUSE

LIMIT, PERIOD = 10, 900
"""So many wrong passwords for an account in so many seconds."""
THREADS, TIMES = 8, 50
THROTTLED = 429


def try_password(at: Server, account: Account, password: str, number: int = 0) -> Answer:
    """Sign in with a new browser, from a network that the number names."""
    data = {"email": account.email, "password": password}
    forwarded = {"X-Forwarded-For": f"198.51.{number}.7"}
    return Browser(account.origin).post_json(at, "/api/auth/login", data, **forwarded)


def test_both_nodes_count_wrong_passwords_together_and_a_known_device_may_sign_in(cluster, account):
    owner = account.browser(cluster.a)
    nodes = cycle(cluster.nodes)
    guesses = [try_password(next(nodes), account, f"guess {n}", n).status for n in range(LIMIT)]
    assert guesses == [SIGNED_OUT] * LIMIT
    for node in (cluster.a, cluster.b, cluster.front):
        answer = try_password(node, account, account.password)
        assert answer.status == THROTTLED
        assert int(answer.headers["Retry-After"]) > 0
        assert owner.sign_in(node, account).me(node).status == 200


def test_nginx_overwrites_the_address_that_a_client_sends(cluster, account):
    for number in range(LIMIT):
        try_password(cluster.front, account, "wrong", number)
    by_network: Counter[bytes] = Counter()
    for key, count in cluster.redis.counted("sign_in_network").items():
        by_network[key.rpartition(b".")[0]] += count  # Of two periods, if one has just ended.
    assert max(by_network.values()) >= LIMIT


def test_no_count_is_lost_when_two_processes_count_in_parallel(cluster):
    processes = [Process(cluster.url, **cluster.environment, TOKENS_THROTTLES="") for _ in range(2)]
    for process in processes:
        process.prepare("count", [("a user", TIMES)] * THREADS)
    together(processes)
    for process in processes:
        process.stop()
    assert sum(cluster.redis.counted("reset_network").values()) == 2 * THREADS * TIMES


def test_every_count_expires(cluster, account):
    try_password(cluster.a, account, "wrong")
    keys = cluster.redis.counted("sign_in_account")
    assert keys
    assert all(0 < cluster.redis.client.ttl(key) <= 2 * PERIOD for key in keys)


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis that no other test uses. If the test froze the shared one, the tests after it would not be throttled."""
    with redis_started() as found:
        yield found


@pytest.fixture
def node(cluster: Cluster, own_redis: Redis) -> Iterator[Node]:
    """A node with the Redis of the test. Another node would not notice that this Redis is frozen."""
    with cluster.another_node(CACHE_URL=own_redis.url, DATABASE_POOL="0") as found:
        yield found


def test_while_redis_does_not_answer_no_request_waits_or_fails(cluster, account, node, own_redis):
    owner = account.browser(node)
    with own_redis.frozen():
        guesses = [try_password(node, account, f"guess {n}", n).status for n in range(2 * LIMIT)]
        assert guesses == [SIGNED_OUT] * 2 * LIMIT
        assert owner.refresh(node).status == owner.me(node).status == 200
        assert owner.sign_in(node, account).refresh(node).status == 200
    sleep(PAUSE)
    wait_for(lambda: try_password(node, account, "wrong").status == THROTTLED, "the throttle")
    assert owner.sign_in(node, account).me(node).status == 200
