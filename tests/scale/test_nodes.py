"""Two nodes: what one of them did, the other knows."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

from tests.browsers import REFRESH
from tests.scale.cluster import Cluster
from tests.scale.people import SIGNED_OUT, Browser

LAG = 1
"""The default of `REVOCATION_LAG`, in seconds."""
AT_ONCE = 16


def test_signed_in_on_one_node_and_refreshed_on_the_other(cluster, person):
    browser = person.browser(cluster.a)
    first = browser.token
    assert browser.refresh(cluster.b).status == 200
    assert browser.token != first
    assert browser.me(cluster.a).json()["user"]["email"] == person.email


def test_the_middleware_of_the_other_node_refreshes_unseen(cluster, person):
    browser = person.browser(cluster.a)
    browser.let_access_token_expire()
    answer = browser.get(cluster.b, "/")
    assert answer.status == 200
    assert person.email in answer.text
    assert REFRESH in answer.set


def test_a_session_ended_on_one_node_is_over_on_the_other_within_the_lags(cluster, person):
    """The lag of the feed, and that by which a replica may be behind."""
    thief, owner = person.browser(cluster.b), person.browser(cluster.a)
    assert thief.me(cluster.b).status == 200
    assert owner.delete(cluster.a, f"/api/auth/sessions/{thief.session_id}").status == 204
    sleep(2 * LAG)
    assert thief.me(cluster.b).status == SIGNED_OUT
    assert owner.me(cluster.b).status == 200


def test_parallel_refreshes_over_both_nodes_have_one_successor(cluster, person):
    browser = person.browser(cluster.front)
    copies = [browser.copy() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda copy: copy.refresh(cluster.front), copies))
    assert [answer.status for answer in answers] == [200] * AT_ONCE
    assert len({copy.token for copy in copies}) == 1
    assert cluster.primary.ask("SELECT generation FROM tokens_refreshtoken WHERE id = %s", browser.session_id) == 1


def test_signed_out_on_one_node_no_token_is_good_on_the_other(cluster, person):
    browser = person.browser(cluster.a)
    thief = browser.copy()
    assert browser.post_json(cluster.a, "/api/auth/logout").status == 204
    assert thief.refresh(cluster.b).status == SIGNED_OUT


def test_a_token_used_twice_on_two_nodes_ends_the_session(cluster, person):
    browser = person.browser(cluster.a)
    thief = browser.copy()
    for node in (cluster.a, cluster.b):
        assert browser.refresh(node).status == 200
        _long_ago(cluster, browser)
    assert thief.refresh(cluster.a).status == SIGNED_OUT
    assert browser.refresh(cluster.b).status == SIGNED_OUT


def _long_ago(cluster: Cluster, browser: Browser) -> None:
    """Let the session's generation have begun an hour ago."""
    hour_ago = "UPDATE tokens_refreshtoken SET since = since - interval '1 hour' WHERE id = %s"
    cluster.primary.ask(hour_ago, browser.session_id)
