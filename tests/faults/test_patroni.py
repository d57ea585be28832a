"""Patroni manages the primary. It fails, or changes places with its standby, while 200 people refresh."""

from collections.abc import Iterator

import pytest

from tests.faults.patroni import PatroniSite, managed, missing

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()} (apt-get install patroni etcd-server)"),
]

PEOPLE = 200
PAUSE = 2.0, 6.0
"""The shortest and the longest pause of a person between two requests, in seconds."""
IN_TIME = 30
"""Seconds in which each request is answered, as long as nginx waits for a node. While there is no primary, the 16
threads of the nodes answer 8 requests a second, because each waits for a connection until its deadline. The others
queue."""
LOAD = {"users": PEOPLE, "browsers": 1, "pause": PAUSE, "in_time": IN_TIME}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PatroniSite]:
    """A site whose database is managed by Patroni. Without Patroni, nothing would promote the standby."""
    with managed(tmp_path_factory.mktemp("site")) as found:
        yield found


def test_the_machine_of_the_primary_fails_and_comes_back(site, under_load):
    """Its processes end at once. Patroni promotes the synchronous standby. The failed one becomes the standby."""
    site.standby()
    with under_load(site, **LOAD) as load, site.watched() as gap:
        failing = site.primary
        failing.kill()
        assert site.primary is not failing
        load.wait_for_refreshes(PEOPLE)
        failing.start()
        assert site.standby() is failing
        load.wait_for_refreshes(PEOPLE // 4)
        load.notes.append(f"without a primary: {gap[0]:.1f} s")


def test_the_standby_and_the_primary_change_places(site, under_load):
    before = site.primary, site.standby()
    with under_load(site, **LOAD) as load, site.watched() as gap:
        site.switch_over()
        assert (site.standby(), site.primary) == before
        load.wait_for_refreshes(PEOPLE)
        load.notes.append(f"without a primary: {gap[0]:.1f} s")
