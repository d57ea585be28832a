"""Operators work on the site under load: they revoke sessions, purge, change keys and migrate."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.faults.people import FEW, User, patiently, sign_in
from tests.faults.site import SECRET_KEY, Site
from tests.scale.people import SIGNED_OUT, Browser

NEW_SECRET_KEY = "another secret for a site that is broken on purpose: long enough too"
NEW_PASSWORD = "another password of a user"


def test_purges_revocations_and_new_passwords_race_with_refreshes(site, times, under_load):
    with under_load(site) as load, ThreadPoolExecutor(1) as pool:
        for turn in range(times):
            by_command, by_password, by_others = (
                load.users[(3 * turn + place) % len(load.users)] for place in range(3)
            )
            purge = pool.submit(site.manage, "purge_tokens", "--batch-size=5", TOKENS_SESSION_RETENTION="1")
            ended = copies(by_command)
            revoked = site.manage("revoke_sessions", "--user", by_command.account.email, "--no-input")
            assert " revoked in " in revoked
            ended += change_password(site, by_password)
            ended += end_others(site, by_others)
            purge.result()
            for browser in ended:
                load.events.append("revoked")
                answer = patiently(partial(browser.refresh, site.front))
                assert answer.status == SIGNED_OUT, "a session that was ended continues"


def test_the_secret_is_changed_node_by_node(site, under_load):
    """As docs/how-to/changing-keys.md describes it. The site keeps the new secret. No other test depends on it."""
    old, new = SECRET_KEY, NEW_SECRET_KEY
    with under_load(site, users=FEW) as load:
        for secret, fallback in ((old, new), (new, old)):
            for number in (0, 1):
                site.restart(number, SECRET_KEY=secret, SECRET_KEY_FALLBACKS=fallback)
                load.events.append("restarts")
                site.wait_until_ready(number)
                load.wait_for_refreshes(10)


def test_a_migration_is_applied_and_taken_back(site, times, users, under_load):
    later = {"DJANGO_SETTINGS_MODULE": "tests.faults.later.settings", "DATABASE_URL": site.directly}
    with under_load(site, users=users) as load:
        for _ in range(times):
            for target in ((), ("later", "zero")):
                site.manage("migrate", *target, "--verbosity=0", **later)
                load.events.append("migrations")
                load.wait_for_refreshes(10)
    assert load.outages


def copies(user: User) -> list[Browser]:
    """Return copies of the user's browsers. From now on their sessions may end."""
    user.may_be_ended = True
    return [found.browser.copy() for found in user.browsers if found.is_signed_in]


def change_password(site: Site, user: User) -> list[Browser]:
    """Change the user's password in a new browser. Return copies of the browsers that this signs out."""
    own = sign_in(site.front, user.account)
    ended = copies(user)
    given = {"current_password": user.account.password, "new_password": NEW_PASSWORD}
    answer = patiently(lambda: own.post_json(site.front, "/api/auth/password/change", given))
    assert answer.status == 204, answer.text
    user.account.password = NEW_PASSWORD
    assert patiently(lambda: own.refresh(site.front)).status == 200
    return ended


def end_others(site: Site, user: User) -> list[Browser]:
    """End all sessions of the user except that of a new browser. Return copies of the browsers that this signs out."""
    own = sign_in(site.front, user.account)
    ended = copies(user)
    assert patiently(lambda: own.delete(site.front, "/api/auth/sessions")).status == 204
    assert patiently(lambda: own.refresh(site.front)).status == 200
    return ended
