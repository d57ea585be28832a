"""PostgreSQL does not answer in time: rows are locked, no connection is free, the network is cut, it is suspended."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from tests.browser.proxies import reserved_port
from tests.faults.line import Line
from tests.faults.site import Site
from tests.scale.cluster import PASSWORD, POOL_SIZE, node_started, suspended, wait_for

SOME = """
    SELECT id FROM tokens_refreshtoken WHERE revoked_at IS NULL AND user_id IN (
        SELECT user_id FROM tokens_refreshtoken GROUP BY user_id ORDER BY random() LIMIT 4
    ) FOR UPDATE
"""
"""Locks all sessions of some users. If it locked some sessions of each, every user could be waiting for one of them."""
ALL = "SELECT id FROM tokens_refreshtoken FOR UPDATE"


def test_rows_are_locked_for_longer_than_a_request_may_wait(site, times, under_load):
    with under_load(site) as load:
        for _ in range(2 * times):
            with site.transaction(SOME):
                load.wait_for_an_outage()
                load.wait_for_refreshes()  # Of sessions whose rows are not locked.


def test_statements_time_out_on_the_server(site, times, under_load):
    """An operator may have set ``statement_timeout``, of which the project knows nothing."""
    with under_load(site) as load, role_set(site, "statement_timeout", "100ms"):
        for _ in range(2 * times):
            before = cancelled(site)
            with site.transaction(ALL):
                wait_for(lambda before=before: cancelled(site) > before, "a statement that times out")
                load.wait_for_an_outage()
            load.wait_for_refreshes()


def cancelled(site: Site) -> int:
    """Return how many statements the server has cancelled because of their timeout."""
    return site.primary.log.read_text().count("canceling statement due to statement timeout")


@contextmanager
def role_set(site: Site, name: str, value: str) -> Iterator[None]:
    """Within, the nodes' connections have this setting. Their connections are closed before and after."""
    try:
        site.ask(f"ALTER ROLE latchkey SET {name} = '{value}'")
        site.disconnect_all()
        yield
    finally:
        site.ask(f"ALTER ROLE latchkey RESET {name}")
        site.disconnect_all()


def test_all_connections_are_in_use(site, times, under_load):
    """Node A shares those of PgBouncer, and node B has a pool."""
    with under_load(site, users=16, browsers=2) as load:
        for _ in range(2 * times):
            with site.transaction("LOCK TABLE tokens_device"):
                wait_for(lambda: site.waiting() >= 2 * POOL_SIZE, "connections that wait")
                load.wait_for_an_outage()
            load.wait_for_refreshes()


def test_the_network_is_cut_and_healed(site, times, under_load):
    """No end of a connection notices the cut. Requests that wait are answered 503 before the network is back."""
    with ExitStack() as stack:
        sockets = site.primary.socket, site.pgbouncer.sockets / ".s.PGSQL.6432"
        lines = [stack.enter_context(Line(socket)) for socket in sockets]
        nodes = []
        for line in lines:
            url = f"postgres://latchkey:{PASSWORD}@127.0.0.1:{line.port}/latchkey?DISABLE_SERVER_SIDE_CURSORS=True"
            port = stack.enter_context(reserved_port())
            nodes.append(stack.enter_context(node_started(port, {**site.environment, "DATABASE_URL": url})))
        with under_load(site, servers=nodes) as load:
            for _ in range(2 * times):
                for line in lines:
                    line.cut()
                for _ in nodes:
                    load.wait_for_an_outage()
                for line in lines:
                    line.heal()
                load.wait_for_refreshes(10)


def test_postgresql_is_suspended(site, times, under_load):
    """Its processes are stopped. Their sockets still accept what is sent."""
    postmaster = psutil.Process(site.primary.pid)
    with under_load(site) as load:
        for _ in range(2 * times):
            with suspended(postmaster, *postmaster.children()):
                load.wait_for_an_outage()
            load.wait_for_refreshes(10)
