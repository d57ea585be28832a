"""The revocation feed reads the replica while that is fresh, and nothing is missed while it is not."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import sleep

import pytest

from tests.scale.cluster import Cluster, Database
from tests.scale.people import SIGNED_OUT, Browser, Person

LAG = 1
"""The default of `REVOCATION_LAG`, in seconds."""
NOBODY = "postgres://nobody@127.0.0.1:1/nothing"
"""A server that is not there: nobody listens on the port of TCPMUX."""


@pytest.fixture
def busy(cluster: Cluster) -> Iterator[None]:
    """The primary commits all the time, as with many users, so the replica knows how fresh it is."""
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
def read(*databases: Database) -> Iterator[None]:
    """Within, the feed is read from these."""
    before = [database.reads_of_the_feed() for database in databases]
    yield
    assert all(database.reads_of_the_feed() > count for database, count in zip(databases, before, strict=True))


@contextmanager
def not_read(database: Database) -> Iterator[None]:
    before = database.reads_of_the_feed()
    yield
    assert database.reads_of_the_feed() == before


def turn(cluster: Cluster, browser: Browser) -> int:
    """Let the feed of node A be due, and ask there; return the answer's status."""
    sleep(LAG)
    return browser.me(cluster.a).status


@pytest.fixture
def browser(cluster: Cluster, person: Person) -> Browser:
    return person.browser(cluster.a)


@pytest.fixture
def thief(cluster: Cluster, person: Person) -> Browser:
    """Signed in, and known to node A as somebody who is."""
    found = person.browser(cluster.a)
    assert found.me(cluster.a).status == 200
    return found


@pytest.mark.usefixtures("busy")
def test_a_fresh_replica_is_read_and_the_primary_left_alone(cluster, browser):
    assert turn(cluster, browser) == 200
    with read(cluster.replica), not_read(cluster.primary):
        assert turn(cluster, browser) == 200


@pytest.mark.usefixtures("busy")
def test_a_revocation_is_heard_of_from_the_replica(cluster, browser, thief):
    assert browser.delete(cluster.b, f"/api/auth/sessions/{thief.session_id}").status == 204
    cluster.wait_until_replayed()
    with read(cluster.replica), not_read(cluster.primary):
        assert turn(cluster, thief) == SIGNED_OUT


@pytest.mark.usefixtures("busy")
def test_while_the_replay_is_paused_the_primary_is_read_and_nothing_missed(cluster, browser, thief):
    with cluster.replay_paused():
        sleep(LAG)
        assert browser.delete(cluster.b, f"/api/auth/sessions/{thief.session_id}").status == 204
        with read(cluster.primary), not_read(cluster.replica):
            assert turn(cluster, thief) == SIGNED_OUT
    assert turn(cluster, browser) == 200


@pytest.mark.usefixtures("busy")
def test_what_was_revoked_before_the_pause_ended_is_known_after_it(cluster, browser, thief):
    """The replica, fresh again, goes on from the cursor that the primary gave."""
    with cluster.replay_paused():
        sleep(LAG)
        assert turn(cluster, browser) == 200
        assert browser.delete(cluster.b, f"/api/auth/sessions/{thief.session_id}").status == 204
    cluster.wait_until_replayed()
    with read(cluster.replica), not_read(cluster.primary):
        assert turn(cluster, thief) == SIGNED_OUT


def test_a_replica_that_hears_of_no_commit_is_not_read(cluster, browser):
    """It cannot tell silence from a cut line. Where nothing is written the primary has time to answer."""
    sleep(LAG)
    with read(cluster.primary), not_read(cluster.replica):
        assert turn(cluster, browser) == 200


def test_a_replica_that_is_away_is_missed_by_nobody(cluster, browser, thief):
    with cluster.another_node(REPLICA_URL=NOBODY) as node:
        assert thief.me(node).status == 200
        assert browser.delete(cluster.b, f"/api/auth/sessions/{thief.session_id}").status == 204
        sleep(LAG)
        assert thief.me(node).status == SIGNED_OUT
        assert browser.me(node).status == 200


@pytest.mark.usefixtures("busy")
def test_decisions_read_the_primary(cluster, person):
    """Signing in, refreshing and signing out, while the replica knows nothing of it."""
    with cluster.replay_paused():
        browser = person.browser(cluster.a)
        for node in (cluster.b, cluster.a):
            assert browser.refresh(node).status == 200
        assert person.email in browser.get(cluster.b, "/").text
        assert browser.post_json(cluster.a, "/api/auth/logout").status == 204
        assert browser.refresh(cluster.b).status == SIGNED_OUT
