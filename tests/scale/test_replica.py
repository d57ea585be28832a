"""Both nodes learn of revocations, by the replica while that is fresh, and by the primary while it is not."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import sleep

import pytest

from tests.scale.cluster import Cluster, Database
from tests.scale.people import SIGNED_OUT, Account, Browser

LAG = 1
"""The default of `REVOCATION_LAG`, in seconds."""
UNREACHABLE = "postgres://nobody@127.0.0.1:1/nothing"
"""No server listens at port 1."""


@pytest.fixture
def busy(cluster: Cluster) -> Iterator[None]:
    """Commits on the primary all the time. Without commits the replica cannot tell how fresh it is, and is not read."""
    over = Event()

    def commit() -> None:
        while not over.wait(LAG / 20):
            cluster.primary.ask("SELECT pg_current_xact_id()")

    thread = Thread(target=commit)
    thread.start()
    yield
    over.set()
    thread.join()


@contextmanager
def read(database: Database, *, but_not: Database) -> Iterator[None]:
    """Within, the feed is read from the first of these databases, and not from the other."""
    before, before_other = database.reads_of_the_feed(), but_not.reads_of_the_feed()
    yield
    assert database.reads_of_the_feed() > before
    assert but_not.reads_of_the_feed() == before_other


def status_after_a_read(cluster: Cluster, browser: Browser) -> int:
    """Wait until node A has to read the feed again, send it a request, and return the response's status."""
    sleep(LAG)
    return browser.me(cluster.a).status


@pytest.fixture
def browser(cluster: Cluster, account: Account) -> Browser:
    """A browser that stays signed in, at node A. One that was signed out would get 401 whichever database is read."""
    return account.browser(cluster.a)


@pytest.fixture
def ended(cluster: Cluster, account: Account) -> Browser:
    """A browser that the test signs out. If node A had not served it before, its rejection would prove nothing."""
    found = account.browser(cluster.a)
    assert found.me(cluster.a).status == 200
    return found


def test_a_session_ended_on_one_node_is_over_on_the_other_within_the_lags(cluster, account):
    """There are two lags: the feed is read once a second, and a replica may be behind."""
    ended, owner = account.browser(cluster.b), account.browser(cluster.a)
    assert ended.me(cluster.b).status == 200
    owner.end(cluster.a, ended)
    sleep(2 * LAG)
    assert (ended.me(cluster.b).status, owner.me(cluster.b).status) == (SIGNED_OUT, 200)


@pytest.mark.usefixtures("busy")
def test_a_fresh_replica_is_read_instead_of_the_primary(cluster, browser):
    assert status_after_a_read(cluster, browser) == 200
    with read(cluster.replica, but_not=cluster.primary):
        assert status_after_a_read(cluster, browser) == 200


@pytest.mark.usefixtures("busy")
def test_a_revocation_is_read_from_the_replica(cluster, browser, ended):
    browser.end(cluster.b, ended)
    cluster.wait_until_replayed()
    with read(cluster.replica, but_not=cluster.primary):
        assert status_after_a_read(cluster, ended) == SIGNED_OUT


@pytest.mark.usefixtures("busy")
def test_while_the_replay_is_paused_the_primary_is_read_and_no_revocation_missed(cluster, browser, ended):
    with cluster.replay_paused():
        sleep(LAG)
        browser.end(cluster.b, ended)
        with read(cluster.primary, but_not=cluster.replica):
            assert status_after_a_read(cluster, ended) == SIGNED_OUT
    assert status_after_a_read(cluster, browser) == 200


@pytest.mark.usefixtures("busy")
def test_a_revocation_during_the_pause_is_known_after_it(cluster, browser, ended):
    """When the replica is fresh again, it is read from the cursor that the primary gave."""
    with cluster.replay_paused():
        sleep(LAG)
        assert status_after_a_read(cluster, browser) == 200
        browser.end(cluster.b, ended)
    cluster.wait_until_replayed()
    with read(cluster.replica, but_not=cluster.primary):
        assert status_after_a_read(cluster, ended) == SIGNED_OUT


def test_a_replica_that_receives_no_commit_is_not_read(cluster, browser):
    """It cannot tell an idle primary from a cut connection. An idle primary has time to answer."""
    sleep(LAG)
    with read(cluster.primary, but_not=cluster.replica):
        assert status_after_a_read(cluster, browser) == 200


def test_with_an_unreachable_replica_no_revocation_is_missed(cluster, browser, ended):
    with cluster.another_node(REPLICA_URL=UNREACHABLE) as node:
        assert ended.me(node).status == 200
        browser.end(cluster.b, ended)
        sleep(LAG)
        assert (ended.me(node).status, browser.me(node).status) == (SIGNED_OUT, 200)


@pytest.mark.usefixtures("busy")
def test_decisions_read_the_primary(cluster, account):
    """Either node signs in, refreshes and signs out while the replica knows nothing of the session."""
    with cluster.replay_paused():
        browser = account.browser(cluster.a)
        tokens = {browser.token}
        for node in (cluster.b, cluster.a):
            assert browser.refresh(node).status == 200
            tokens.add(browser.token)
        assert len(tokens) > 1
        assert account.email in browser.get(cluster.b, "/").text
        copy = browser.copy()
        assert browser.sign_out(cluster.a) == 204
        assert copy.refresh(cluster.b).status == SIGNED_OUT
