"""The primary is killed, and its replica takes over."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

from tests.faults.people import new_account, sign_in
from tests.faults.site import STILL, started

LEAVING = 4
UNAVAILABLE = 503


def test_a_replica_that_lacks_the_last_commits_takes_over(tmp_path, under_load):
    """Clients recover from rotations that are lost. Other commits are lost as well, as with any such replica."""
    with started(tmp_path) as site, under_load(site, lossy=True) as load:
        site.wait_until_replayed("pg_current_wal_insert_lsn()")
        load.lossy_from = monotonic()
        site.stop_replication()
        rotations = "SELECT sum(generation) FROM tokens_refreshtoken"
        sleep(STILL)  # Meanwhile every session is rotated.
        rotated = site.ask(rotations)
        site.fail_over()
        load.events.append("fail-overs")
        assert site.ask(rotations) < rotated, "nothing was lost"
        site.wait_until_ready()


def test_a_synchronous_standby_takes_over(tmp_path, under_load):
    """Before, it is cut off: a sign-out must wait for it, and fails. Rotations do not wait, and are lost."""
    with started(tmp_path) as site:
        site.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        site.primary.control("reload")
        account = new_account(site)
        with under_load(site) as load, ThreadPoolExecutor(LEAVING) as pool:
            leaving = [sign_in(site.front, account) for _ in range(LEAVING)]
            site.stop_replication()
            for _ in range(2):
                assert set(pool.map(lambda browser: browser.sign_out(site.front), leaving)) == {UNAVAILABLE}
            site.fail_over()
            load.events.append("fail-overs")
            site.ask("ALTER SYSTEM RESET synchronous_standby_names")
            site.primary.control("reload")
            site.wait_until_ready()
