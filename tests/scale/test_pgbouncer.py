"""PgBouncer in transaction mode: many clients over few server connections, and nothing that asks for one of its own."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from tests.scale.cluster import POOL_SIZE, Cluster
from tests.scale.people import SIGNED_OUT, Browser, Person
from tests.tokens.service.processes import Process

CLIENTS, PEOPLE, REFRESHES = 50, 5, 3


@pytest.fixture
def people(cluster: Cluster, registrar: Process) -> list[Person]:
    return [Person(cluster.origin).open_account(registrar) for _ in range(PEOPLE)]


@pytest.fixture
def admin(cluster: Cluster) -> Person:
    person = Person(cluster.origin)
    cluster.manage("createsuperuser", "--no-input", "--email", person.email, DJANGO_SUPERUSER_PASSWORD=person.password)
    return person


@pytest.fixture
def few(cluster: Cluster) -> Iterator[None]:
    """There are no more connections to the primary than PgBouncer may have."""
    yield
    assert 0 < cluster.primary.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'latchkey'") <= POOL_SIZE


def test_fifty_clients_at_once_over_four_connections(cluster, people, few):
    def live(number: int) -> list[int]:
        browser = people[number % PEOPLE].browser(cluster.front)
        statuses = []
        for _ in range(REFRESHES):
            statuses += [browser.me(cluster.front).status, browser.refresh(cluster.front).status]
        thief = browser.copy()
        statuses.append(browser.post_json(cluster.front, "/api/auth/logout").status)
        return [*statuses, thief.refresh(cluster.front).status]

    with ThreadPoolExecutor(CLIENTS) as pool:
        lives = list(pool.map(live, range(CLIENTS)))
    assert lives == [[200, 200] * REFRESHES + [204, SIGNED_OUT]] * CLIENTS


def test_the_admin_lists_and_revokes(cluster, admin, person):
    staff, browser = admin.browser(cluster.front), person.browser(cluster.front)
    listed = staff.get(cluster.front, "/admin/tokens/refreshtoken/")
    assert listed.status == 200
    assert browser.session_id in listed.text
    user = cluster.primary.ask("SELECT id FROM accounts_user WHERE email = %s", person.email)
    assert staff.get(cluster.front, f"/admin/accounts/user/{user}/change/").status == 200
    revoked = staff.post_form(
        cluster.front,
        "/admin/tokens/refreshtoken/",
        action="revoke_selected",
        _selected_action=browser.session_id,
    )
    assert revoked.status == 302
    assert browser.refresh(cluster.front).status == SIGNED_OUT
    assert staff.get(cluster.front, "/admin/tokens/securityevent/").status == 200


def test_pages_sign_in_and_out_with_a_message_between_nodes(cluster, person):
    """Forms, their CSRF tokens and Django's session are in cookies: any node takes what another gave."""
    browser = Browser(cluster.origin)
    browser.get(cluster.a, "/sign-in")
    answer = browser.post_form(cluster.b, "/sign-in", username=person.email, password=person.password)
    assert answer.status == 302, answer.text
    assert person.email in browser.get(cluster.a, "/").text
    assert browser.post_form(cluster.b, "/sign-out").status == 302
    assert person.email not in browser.get(cluster.a, "/").text


def test_commands_list_revoke_and_purge(cluster, person):
    browser = person.browser(cluster.a)
    listed = cluster.manage("list_sessions", "--user", person.email, "--json")
    assert browser.session_id in listed
    assert "1 sessions revoked" in cluster.manage("revoke_sessions", "--user", person.email, "--no-input")
    assert browser.refresh(cluster.b).status == SIGNED_OUT
    time.sleep(1)
    cluster.manage("purge_tokens", TOKENS_SESSION_RETENTION="1")
    assert cluster.primary.ask("SELECT count(*) FROM tokens_refreshtoken WHERE id = %s", browser.session_id) == 0


def test_settings_of_a_transaction_do_not_stay_with_the_connection(cluster, person):
    """A rotation waits for no disk, a read of the feed gives up soon: whoever has the connection next does neither."""
    browser = person.browser(cluster.front)
    for _ in range(2 * POOL_SIZE):
        assert browser.refresh(cluster.front).status == 200
        assert browser.me(cluster.front).status == 200
    settings = "concat_ws(' ', current_setting('synchronous_commit'), current_setting('statement_timeout'))"
    with ExitStack() as stack:
        # As many transactions as there are connections, all open at once: each has one of its own.
        connections = [stack.enter_context(psycopg.connect(cluster.dsn)) for _ in range(POOL_SIZE)]
        found = [connection.execute(f"SELECT pg_backend_pid(), {settings}").fetchone() for connection in connections]
    assert len({pid for pid, _ in found}) == POOL_SIZE
    assert {setting for _, setting in found} == {"on 0"}
