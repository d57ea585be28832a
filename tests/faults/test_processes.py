"""Processes are killed: workers of the application, and PostgreSQL."""

from itertools import cycle, islice

from tests.scale.cluster import wait_for


def test_workers_are_killed_during_a_refresh(site, times, users, under_load):
    with under_load(site, users=users) as load:
        for number in islice(cycle((0, 1)), 5 * times):
            with site.transaction("SELECT id FROM tokens_refreshtoken FOR UPDATE"):
                wait_for(site.waiting, "a statement that waits for a lock")
                # As the kernel does when there is no memory left.
                for worker in site.nodes[number].workers:
                    worker.kill()
                    load.events.append("kills")
            site.wait_until_ready(number)
    assert load.outages


def test_postgresql_is_killed_and_started_again(site, times, under_load):
    with under_load(site) as load:
        for _ in range(3 * times):
            site.primary.kill()
            load.events.append("kills")
            load.wait_for_an_outage()
            site.primary.start()
            site.wait_until_ready()
