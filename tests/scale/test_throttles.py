"""Throttles on two nodes: they count together, in Redis, and go on without it."""

from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from time import sleep

import pytest

from tests.clients.projects import Answer, Server
from tests.scale.cluster import Cluster, Node, Redis, redis_started, wait_for
from tests.scale.people import SIGNED_OUT, Browser, Person
from tests.tokens.service.processes import Process, together
from tokens.throttles import PAUSE

LIMIT, PERIOD = 10, 900
"""Wrong passwords for an account, and seconds."""
THREADS, TIMES = 8, 50
THROTTLED = 429


def try_password(cluster: Cluster, at: Server, person: Person, password: str, number: int = 0) -> Answer:
    """Sign in from a network of one's own, with a browser that was never here."""
    data = {"email": person.email, "password": password}
    forwarded = {"X-Forwarded-For": f"198.51.{number}.7"}
    return Browser(cluster.origin).post_json(at, "/api/auth/login", data, **forwarded)


def test_wrong_passwords_on_either_node_count_together_and_a_known_device_gets_in(cluster, person):
    owner = person.browser(cluster.a)
    nodes = cycle([cluster.a, cluster.b])
    guesses = [try_password(cluster, next(nodes), person, f"guess {n}", n).status for n in range(LIMIT)]
    assert guesses == [SIGNED_OUT] * LIMIT
    for node in (cluster.a, cluster.b, cluster.front):
        answer = try_password(cluster, node, person, person.password)
        assert answer.status == THROTTLED
        assert int(answer.headers["Retry-After"]) > 0
        assert owner.sign_in(node, person).me(node).status == 200


def test_a_client_that_says_where_it_comes_from_is_not_believed(cluster, person):
    """nginx says where a request comes from, whatever the client does."""
    for number in range(LIMIT):
        try_password(cluster, cluster.front, person, "wrong", number)
    by_network: Counter[bytes] = Counter()
    for key, count in cluster.redis.counted("sign_in_network").items():
        by_network[key.rpartition(b".")[0]] += count  # Of two periods, where one has just ended.
    assert max(by_network.values()) >= LIMIT


def test_counts_made_at_once_by_two_processes_are_all_counted(cluster):
    processes = [Process(cluster.url, **cluster.environment, TOKENS_THROTTLES="") for _ in range(2)]
    for process in processes:
        process.prepare("count", [("somebody's", TIMES)] * THREADS)
    together(processes)
    for process in processes:
        process.stop()
    assert sum(cluster.redis.counted("reset_network").values()) == 2 * THREADS * TIMES


def test_no_number_is_kept_for_ever(cluster, person):
    try_password(cluster, cluster.a, person, "wrong")
    keys = cluster.redis.counted("sign_in_account")
    assert keys
    assert all(0 < cluster.redis.client.ttl(key) <= 2 * PERIOD for key in keys)


@pytest.fixture
def frail() -> Iterator[Redis]:
    """A Redis that no other test uses."""
    with redis_started() as found:
        yield found


@pytest.fixture
def node(cluster: Cluster, frail: Redis) -> Iterator[Node]:
    with cluster.another_node(CACHE_URL=frail.url, DATABASE_POOL="0") as found:
        yield found


def test_a_redis_that_hangs_holds_nobody_up_and_signs_nobody_out(cluster, person, node, frail):
    owner = person.browser(node)
    with frail.frozen():
        guesses = [try_password(cluster, node, person, f"guess {n}", n).status for n in range(2 * LIMIT)]
        assert guesses == [SIGNED_OUT] * 2 * LIMIT
        assert owner.refresh(node).status == owner.me(node).status == 200
        assert owner.sign_in(node, person).refresh(node).status == 200
    sleep(PAUSE)
    wait_for(lambda: try_password(cluster, node, person, "wrong").status == THROTTLED, "the throttle")
    assert owner.sign_in(node, person).me(node).status == 200
