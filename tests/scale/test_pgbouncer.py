"""PgBouncer in transaction mode: many clients share few server connections, and the project works all the same."""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from tests.browser.proxies import reserved_port
from tests.scale.cluster import POOL_SIZE, Cluster, node_started, wait_for
from tests.scale.people import SIGNED_OUT, Account, Browser

CLIENTS, ACCOUNTS, REFRESHES = 50, 5, 3


@pytest.fixture
def limited(cluster: Cluster) -> Iterator[None]:
    """Checks the number of connections. Without it a node that bypasses PgBouncer would pass every test here."""
    yield
    assert 0 < cluster.primary.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'latchkey'") <= POOL_SIZE


def test_fifty_clients_share_four_connections(cluster, registrar, limited):
    accounts = [Account(cluster.origin).open(registrar) for _ in range(ACCOUNTS)]

    def use(number: int) -> list[int]:
        browser = accounts[number % ACCOUNTS].browser(cluster.front)
        statuses = []
        for _ in range(REFRESHES):
            statuses += [browser.me(cluster.front).status, browser.refresh(cluster.front).status]
        copy = browser.copy()
        return [*statuses, browser.sign_out(cluster.front), copy.refresh(cluster.front).status]

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(use, range(CLIENTS))) == [[200, 200] * REFRESHES + [204, SIGNED_OUT]] * CLIENTS


def answers_on_all_connections(cluster: Cluster) -> bool:
    try:
        with ExitStack() as stack:
            for _ in range(POOL_SIZE):  # Each holds a server connection, because its transaction stays open.
                stack.enter_context(psycopg.connect(cluster.pgbouncer.dsn())).execute("SELECT 1")
        return True
    except psycopg.Error:
        return False


@pytest.fixture
def serializable(cluster: Cluster) -> Iterator[None]:
    """Let the role be SERIALIZABLE. At READ COMMITTED no statement fails because another one was faster."""

    def restart(change: str) -> None:
        cluster.primary.ask(f"ALTER ROLE latchkey {change}")
        cluster.primary.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'latchkey'")
        # For a moment PgBouncer gives a client a server connection that is about to close.
        wait_for(lambda: answers_on_all_connections(cluster), "new connections from PgBouncer to PostgreSQL")

    restart("SET default_transaction_isolation = 'serializable'")
    yield
    restart("RESET default_transaction_isolation")


def test_at_another_isolation_level_parallel_refreshes_get_one_successor(cluster, account, serializable, limited):
    browser = account.browser(cluster.front)
    copies = [browser.copy() for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(lambda copy: copy.refresh(cluster.front).status, copies)) == [200] * CLIENTS
    [successor] = {copy.token for copy in copies}
    assert successor != browser.token
    assert copies[0].sign_out(cluster.front) == 204
    assert browser.refresh(cluster.front).status == SIGNED_OUT


def version() -> tuple[int, ...]:
    text = subprocess.run(["pgbouncer", "--version"], capture_output=True, check=True, text=True).stdout
    return tuple(int(part) for part in text.split()[1].split(".")[:2])


@pytest.mark.skipif(version() < (1, 21), reason="this PgBouncer does not keep prepared statements apart")
def test_with_prepare_threshold_the_rotation_stays_prepared_and_is_parsed_once_by_each_connection(cluster, account):
    url = f"{cluster.url}&prepare_threshold=5"
    log, begin = cluster.primary.folder / "log", (cluster.primary.folder / "log").stat().st_size
    with reserved_port() as port, node_started(port, {**cluster.environment, "DATABASE_URL": url}) as node:
        browsers = [account.browser(node) for _ in range(CLIENTS)]
        for _ in range(2):  # A session's first refresh is another statement.
            with ThreadPoolExecutor(CLIENTS) as pool:
                assert {*pool.map(lambda browser: browser.refresh(node).status, browsers)} == {200}
    with log.open() as file:
        file.seek(begin)
        executed = re.findall(r"(\S+): +UPDATE \S+ AS session", file.read())
    assert len(executed) >= CLIENTS
    assert {name.partition("_")[0] for name in executed} == {"PGBOUNCER"}  # Its names for prepared statements.


def test_the_admin_lists_and_revokes(cluster, account):
    admin, sessions = Account(cluster.origin), "/admin/tokens/refreshtoken/"
    cluster.manage("createsuperuser", "--no-input", "--email", admin.email, DJANGO_SUPERUSER_PASSWORD=admin.password)
    staff, browser = admin.browser(cluster.front), account.browser(cluster.front)
    listed = staff.get(cluster.front, sessions)
    assert listed.status == 200
    assert browser.session_id in listed.text
    user = cluster.primary.ask("SELECT id FROM accounts_user WHERE email = %s", account.email)
    assert staff.get(cluster.front, f"/admin/accounts/user/{user}/change/").status == 200
    fields = {"action": "revoke_selected", "_selected_action": browser.session_id, "confirmed": "yes"}
    assert staff.post_form(cluster.front, sessions, **fields).status == 302
    assert browser.refresh(cluster.front).status == SIGNED_OUT
    assert staff.get(cluster.front, "/admin/tokens/securityevent/").status == 200


def test_pages_work_when_each_request_reaches_another_node(cluster, account):
    """Forms, their CSRF tokens and Django's session are in cookies, so each node accepts what the other one gave."""
    browser = Browser(cluster.origin)
    browser.get(cluster.a, "/sign-in")
    answer = browser.post_form(cluster.b, "/sign-in", username=account.email, password=account.password)
    assert answer.status == 302, answer.text
    assert account.email in browser.get(cluster.a, "/").text
    assert browser.post_form(cluster.b, "/sign-out").status == 302
    assert account.email not in browser.get(cluster.a, "/").text


def test_commands_list_revoke_and_purge(cluster, account):
    browser = account.browser(cluster.a)
    assert browser.session_id in cluster.manage("list_sessions", "--user", account.email, "--json")
    assert "1 session revoked" in cluster.manage("revoke_sessions", "--user", account.email, "--no-input")
    assert browser.refresh(cluster.b).status == SIGNED_OUT
    time.sleep(1)
    cluster.manage("purge_tokens", TOKENS_SESSION_RETENTION="1")
    assert cluster.primary.ask("SELECT count(*) FROM tokens_refreshtoken WHERE id = %s", browser.session_id) == 0


def test_settings_of_a_transaction_do_not_stay_with_the_connection(cluster, account):
    """A rotation does not wait for the disk, and a read of the feed has a timeout. The next transaction has neither."""
    browser = account.browser(cluster.front)
    for _ in range(2 * POOL_SIZE):
        assert browser.refresh(cluster.front).status == browser.me(cluster.front).status == 200
    settings = "concat_ws(' ', current_setting('synchronous_commit'), current_setting('statement_timeout'))"
    with ExitStack() as stack:
        # As many transactions are open at the same time as there are connections, so each has a different one.
        connections = [stack.enter_context(psycopg.connect(cluster.pgbouncer.dsn())) for _ in range(POOL_SIZE)]
        found = [connection.execute(f"SELECT pg_backend_pid(), {settings}").fetchone() for connection in connections]
    assert len({pid for pid, _ in found}) == POOL_SIZE
    assert {setting for _, setting in found} == {"on 0"}
