"""PostgreSQL is there, and does not answer in time: locked rows, no connection left, a cut network, a frozen server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psutil

from tests.browser.proxies import reserved_port
from tests.faults.line import Line
from tests.faults.people import Crowd, at_work, wait_long_for
from tests.faults.site import Site
from tests.scale.cluster import PASSWORD, POOL_SIZE, node_started

Report = Callable[[Crowd], None]
SOME = "SELECT id FROM tokens_refreshtoken WHERE revoked_at IS NULL ORDER BY random() LIMIT 10 FOR UPDATE"
ALL = "SELECT id FROM tokens_refreshtoken FOR UPDATE"


def test_rows_are_locked_for_longer_than_a_request_may_wait(site, times, report):
    with at_work(site) as crowd:
        report(crowd)
        for _ in range(2 * times):
            with site.transaction(SOME):
                crowd.wait_for_an_outage()
                crowd.wait_for_refreshes()  # Of the others.


def test_statements_time_out_on_the_server(site, times, report):
    """As an operator may have set it: with ``statement_timeout``, of which the project knows nothing."""
    with at_work(site) as crowd:
        report(crowd)
        with role_set(site, "statement_timeout = '100ms'"):
            for _ in range(2 * times):
                before = cancelled(site)
                with site.transaction(ALL):
                    wait_long_for(lambda before=before: cancelled(site) > before, "a statement that times out")
                    crowd.wait_for_an_outage()
                crowd.wait_for_refreshes()


def cancelled(site: Site) -> int:
    """How many statements the server has cut short."""
    return site.primary.server.log.read_text().count("canceling statement due to statement timeout")


def test_all_connections_are_in_use(site, times, report):
    """Those of PgBouncer, and of the pool of the node that has none in front of it."""
    with at_work(site, people=16, browsers=2) as crowd:
        report(crowd)
        for _ in range(2 * times):
            with site.transaction("LOCK TABLE tokens_device"):
                wait_long_for(lambda: site.waiting() >= 2 * POOL_SIZE, "connections that wait")
                crowd.wait_for_an_outage()
            crowd.wait_for_refreshes()


def test_the_network_is_cut_and_healed(site, times, report):
    """Nobody is told: what is sent is not answered. Whoever waits is told 503 before the network is back."""
    with ExitStack() as stack:
        sockets = site.primary.socket + "/.s.PGSQL.5432", f"{site.pgbouncer.sockets}/.s.PGSQL.6432"
        lines = [stack.enter_context(Line(socket)) for socket in sockets]
        nodes = []
        for line in lines:
            url = f"postgres://latchkey:{PASSWORD}@127.0.0.1:{line.port}/latchkey?DISABLE_SERVER_SIDE_CURSORS=True"
            port = stack.enter_context(reserved_port())
            nodes.append(stack.enter_context(node_started(port, {**site.environment, "DATABASE_URL": url})))
        with at_work(site, servers=nodes) as crowd:
            report(crowd)
            for _ in range(2 * times):
                for line in lines:
                    line.cut()
                for _ in nodes:
                    crowd.wait_for_an_outage()
                for line in lines:
                    line.heal()
                crowd.wait_for_refreshes(10)


def test_postgresql_stands_still(site, times, report):
    """Its processes are stopped, and their sockets take what is sent."""
    postmaster = psutil.Process(site.primary.server.get_pid())
    with at_work(site) as crowd:
        report(crowd)
        for _ in range(2 * times):
            with stopped([postmaster, *postmaster.children()]):
                crowd.wait_for_an_outage()
            crowd.wait_for_refreshes(10)


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def role_set(site: Site, setting: str) -> Iterator[None]:
    """Within, the nodes' connections have this setting; their connections are closed at both ends of it."""
    reset = partial(site.ask, f"ALTER ROLE latchkey RESET {setting.partition(' ')[0]}")
    try:
        site.ask(f"ALTER ROLE latchkey SET {setting}")
        site.disconnect_all()
        yield
    finally:
        reset()
        site.disconnect_all()
