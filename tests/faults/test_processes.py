"""Processes die: the workers of the application, and PostgreSQL."""

from collections.abc import Callable
from itertools import cycle, islice

from tests.faults.people import Crowd, at_work

Report = Callable[[Crowd], None]
ROWS = "SELECT id FROM tokens_refreshtoken FOR UPDATE"


def test_workers_are_killed_in_mid_refresh(site, times, report):
    with at_work(site) as crowd:
        report(crowd)
        for number in islice(cycle((0, 1)), 5 * times):
            with site.transaction(ROWS):
                site.wait_for_waiting()
                # As the kernel does when there is no memory left.
                for worker in site.nodes[number].workers:
                    worker.kill()
                    crowd.count("kills")
            site.wait_until_it_works(number)
    assert crowd.outages


def test_postgresql_is_killed_and_started_again(site, times, report):
    with at_work(site) as crowd:
        report(crowd)
        for _ in range(3 * times):
            site.primary.kill()
            crowd.count("kills")
            crowd.wait_for_an_outage()
            site.primary.start_again()
            for number in (0, 1):
                site.wait_until_it_works(number)
