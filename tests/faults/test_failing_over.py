"""The primary dies, and its replica takes over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from uuid import uuid4

from tests.faults.people import PASSWORD, Crowd, at_work, sign_in
from tests.faults.site import STILL, Site, started
from tests.scale.people import Browser

Report = Callable[[Crowd], None]
LEAVING = 4
UNAVAILABLE = 503


def test_a_replica_that_lacks_the_last_commits_takes_over(tmp_path, report):
    """Rotations that are lost are caught up with. What else was committed last is lost, as with any such replica."""
    with started(tmp_path, replicated=True) as site, at_work(site, lossy=True) as crowd:
        report(crowd)
        site.wait_until_replayed()
        crowd.lossy_from = monotonic()
        site.stop_replication()
        behind = "SELECT sum(generation) FROM tokens_refreshtoken"
        sleep(STILL)  # In which every session is rotated.
        rotated = site.ask(behind)
        site.fail_over()
        crowd.count("fail-overs")
        assert site.ask(behind) < rotated, "nothing was lost"
        for number in (0, 1):
            site.wait_until_it_works(number)


def test_a_synchronous_standby_takes_over(tmp_path, report):
    """First it is cut off: what has to wait for it is not told to be done. Rotations alone go on, and are lost."""
    with started(tmp_path, replicated=True) as site:
        site.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        site.primary.reload()
        email = f"leaving-{uuid4().hex[:12]}@app.test"
        site.open_account(email, PASSWORD)
        with at_work(site) as crowd, ThreadPoolExecutor(LEAVING) as pool:
            report(crowd)
            leaving = [sign_in(site, site.front, email, PASSWORD) for _ in range(LEAVING)]
            site.stop_replication()
            for _ in range(2):
                assert set(pool.map(lambda browser: sign_out(site, browser), leaving)) == {UNAVAILABLE}
            site.fail_over()
            crowd.count("fail-overs")
            site.ask("ALTER SYSTEM RESET synchronous_standby_names")
            site.primary.reload()
            for number in (0, 1):
                site.wait_until_it_works(number)


def sign_out(site: Site, browser: Browser) -> int:
    return browser.post_json(site.front, "/api/auth/logout").status
