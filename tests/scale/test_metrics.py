"""Prometheus scrapes a node of two processes: whichever process answers, the response counts both."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from tests.clients.projects import Browser as AnyBrowser
from tests.scale.cluster import Cluster, Node, wait_for
from tests.scale.people import Account, Browser

ROTATED = ("latchkey_refreshes_total", "rotated")
ENDED = ("latchkey_revocations_total", "signed_out")
SIGNED_IN = ("latchkey_security_events_total", "signed_in")
PURGED_AT = ("latchkey_purge_last_success_timestamp_seconds",)


@pytest.fixture
def node(cluster: Cluster, tmp_path: Path) -> Iterator[Node]:
    """A node of two processes. With one process, counts that the processes do not share would go unnoticed."""
    options = {"GRANIAN_WORKERS": "2", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    # If granian is told to stop while a process starts, it waits for that process for the whole of this time.
    with cluster.another_node(**options, GRANIAN_WORKERS_KILL_TIMEOUT="3") as found:
        yield found


def prober(at: Any) -> AnyBrowser:
    """Return a client that names the node by its address, as Prometheus does."""
    return AnyBrowser(f"http://127.0.0.1:{at.port}")


def scrape(at: Any) -> dict[tuple[str, ...], float]:
    """Return the metrics of a node, by name and the values of their labels."""
    answer = prober(at).get(at, "/metrics")
    assert answer.status == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *filter(None, one.labels.values())): one.value for family in families for one in family.samples}


def that_refreshed(folder: Path) -> list[int]:
    """Return the processes that have answered a refresh."""
    return [
        int(path.stem.removeprefix("histogram_"))
        for path in folder.glob("histogram_*.db")
        for key, value, *_ in MmapedDict.read_all_values_from_file(path)
        if '"latchkey_refresh_seconds_sum"' in key and value
    ]


def use(node: Node, account: Account, folder: Path) -> list[Browser]:
    """Sign in and refresh until both processes have answered a refresh: either may accept a connection."""
    browsers: list[Browser] = []

    def use_once() -> bool:
        browsers.append(account.browser(node))
        assert browsers[-1].refresh(node).status == 200
        return len(that_refreshed(folder)) == 2

    wait_for(use_once, "a refresh by each process")
    return browsers


def test_a_scrape_counts_both_processes(node, account, tmp_path):
    browsers = use(node, account, tmp_path)
    assert browsers[0].sign_out(node) == 204
    for _ in range(10):
        found = scrape(node)
        assert found[ROTATED] == found["latchkey_refresh_seconds_count",] == len(browsers)
        assert found[SIGNED_IN] == found["latchkey_sign_in_seconds_count", "signed_in"] == len(browsers)
        assert found[ENDED] == 1
        assert found["latchkey_feed_lag_seconds",] == found["latchkey_feed_unreadable",] == 0
        assert found["latchkey_database_up",] == 1


def test_the_counts_of_a_killed_process_stay_and_its_gauges_are_deleted(node, account, tmp_path):
    browsers = use(node, account, tmp_path)
    killed, *_ = that_refreshed(tmp_path)
    assert list(tmp_path.glob(f"gauge_live*_{killed}.db"))
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(killed), "the end of the process")
    assert scrape(node)[ROTATED] == len(browsers)
    assert not list(tmp_path.glob(f"gauge_live*_{killed}.db"))


def test_other_machines_may_read_the_health_and_not_the_metrics(cluster):
    client = AnyBrowser(cluster.origin)
    assert client.get(cluster.front, "/metrics").status == 404
    for address in ("203.0.113.7", "127.0.0.1, 203.0.113.7", "unknown"):
        assert client.get(cluster.a, "/metrics", **{"X-Forwarded-For": address}).status == 404
    assert client.get(cluster.front, "/health/live").status == 200
    # On a busy machine a node may not find out within its time limit that it is ready.
    wait_for(lambda: client.get(cluster.front, "/health/ready").status == 200, "a node that is ready")


def test_every_node_reports_a_purge_by_command(cluster):
    before = scrape(cluster.a).get(PURGED_AT, 0)
    cluster.manage("purge_tokens")
    assert scrape(cluster.a)[PURGED_AT] == scrape(cluster.b)[PURGED_AT] > before
