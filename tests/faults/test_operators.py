"""What operators do under load: revoke, purge, change keys, migrate."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.faults.people import Crowd, Somebody, at_work, patiently, sign_in
from tests.faults.site import SECRET_KEY, Site
from tests.scale.people import SIGNED_OUT, Browser

Report = Callable[[Crowd], None]
NEW_SECRET_KEY = "another secret for a site that is broken on purpose: long enough too"
NEW_PASSWORD = "another password of somebody's"


def test_purges_revocations_and_new_passwords_race_with_refreshes(site, times, report):
    with at_work(site) as crowd, ThreadPoolExecutor(1) as pool:
        report(crowd)
        for turn in range(times):
            by_command, by_password, by_others = (
                crowd.everybody[(3 * turn + place) % len(crowd.everybody)] for place in range(3)
            )
            purge = pool.submit(site.manage, "purge_tokens", "--batch-size=5", TOKENS_SESSION_RETENTION="1")
            ended = held_by(by_command)
            assert "sessions revoked" in site.manage("revoke_sessions", "--user", by_command.email, "--no-input")
            ended += change_password(site, by_password)
            ended += end_others(site, by_others)
            purge.result()
            crowd.counts["revoked"] += len(ended)
            for browser in ended:
                answer = patiently(lambda browser=browser: browser.refresh(site.front))  # type: ignore[misc]
                assert answer.status == SIGNED_OUT, "a session goes on that was ended"


def test_a_rolling_change_of_the_secret(site, report):
    """As the README says, and back."""
    old, new = SECRET_KEY, NEW_SECRET_KEY
    before = dict(site.environment)
    with at_work(site) as crowd:
        report(crowd)
        for secret, fallback in ((old, new), (new, old)):
            for number in (0, 1):
                site.restart(number, SECRET_KEY=secret, SECRET_KEY_FALLBACKS=fallback)
                crowd.count("restarts")
                site.wait_until_it_works(number)
                crowd.wait_for_refreshes(10)
    site.environment = before
    for number in (0, 1):
        site.restart(number)


def test_a_migration_is_applied_and_taken_back(site, times, report):
    later = {"DJANGO_SETTINGS_MODULE": "tests.faults.later.settings", "DATABASE_URL": site.directly}
    with at_work(site) as crowd:
        report(crowd)
        for _ in range(times):
            for target in ((), ("later", "zero")):
                site.manage("migrate", *target, "--verbosity=0", **later)
                crowd.count("migrations")
                crowd.wait_for_refreshes(10)
    assert crowd.outages


def held_by(somebody: Somebody) -> list[Browser]:
    """Copies of what their browsers hold now; from now on their sessions may end."""
    somebody.may_be_ended = True
    return [visitor.browser.copy() for visitor in somebody.browsers if visitor.is_signed_in]


def change_password(site: Site, somebody: Somebody) -> list[Browser]:
    """Let them change their password; return copies of what that ended."""
    own = sign_in(site, site.front, somebody.email, somebody.password)
    ended = held_by(somebody)
    given = {"current_password": somebody.password, "new_password": NEW_PASSWORD}
    answer = patiently(lambda: own.post_json(site.front, "/api/auth/password/change", given))
    assert answer.status == 204, answer.text
    somebody.password = NEW_PASSWORD
    assert patiently(lambda: own.refresh(site.front)).status == 200
    return ended


def end_others(site: Site, somebody: Somebody) -> list[Browser]:
    """Let them end all their other sessions; return copies of those."""
    own = sign_in(site, site.front, somebody.email, somebody.password)
    ended = held_by(somebody)
    assert patiently(lambda: own.delete(site.front, "/api/auth/sessions")).status == 204
    assert patiently(lambda: own.refresh(site.front)).status == 200
    return ended
