"""Each node knows what the other one did."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

from tests.browsers import REFRESH
from tests.scale.people import SIGNED_OUT

LAG = 1
"""The default of `REVOCATION_LAG`, in seconds."""
PARALLEL = 16


def test_the_middleware_of_the_other_node_refreshes(cluster, account):
    browser = account.browser(cluster.a)
    browser.let_access_token_expire()
    answer = browser.get(cluster.b, "/")
    assert answer.status == 200
    assert account.email in answer.text
    assert REFRESH in answer.set


def test_a_session_ended_on_one_node_is_over_on_the_other_within_the_lags(cluster, account):
    """There are two lags: the feed is read once a second, and a replica may be behind."""
    ended, owner = account.browser(cluster.b), account.browser(cluster.a)
    assert ended.me(cluster.b).status == 200
    owner.end(cluster.a, ended)
    sleep(2 * LAG)
    assert ended.me(cluster.b).status == SIGNED_OUT
    assert owner.me(cluster.b).status == 200


def test_parallel_refreshes_over_both_nodes_have_one_successor(cluster, account):
    browser = account.browser(cluster.front)
    copies = [browser.copy() for _ in range(PARALLEL)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda copy: copy.refresh(cluster.front), copies))
    assert [answer.status for answer in answers] == [200] * PARALLEL
    assert len({copy.token for copy in copies}) == 1
    assert cluster.primary.ask("SELECT generation FROM tokens_refreshtoken WHERE id = %s", browser.session_id) == 1


def test_an_old_token_presented_to_either_node_ends_the_session(cluster, account):
    browser = account.browser(cluster.a)
    attacker = browser.copy()
    for node in cluster.nodes:
        assert browser.refresh(node).status == 200
        hour_ago = "UPDATE tokens_refreshtoken SET since = since - interval '1 hour' WHERE id = %s"
        cluster.primary.ask(hour_ago, browser.session_id)
    assert attacker.refresh(cluster.a).status == SIGNED_OUT
    assert browser.refresh(cluster.b).status == SIGNED_OUT
