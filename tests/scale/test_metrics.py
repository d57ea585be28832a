"""A node of two processes, scraped as Prometheus does: one answer for both, whichever of them gives it."""

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
from tests.scale.people import Browser, Person

ROTATED = ("latchkey_refreshes_total", "rotated")
ENDED = ("latchkey_revocations_total", "signed_out")
SIGNED_IN = ("latchkey_security_events_total", "signed_in")


@pytest.fixture
def node(cluster: Cluster, tmp_path: Path) -> Iterator[Node]:
    """Beside the others, and with two processes, which share their counts in ``tmp_path``."""
    # Told to stop while a process is starting, granian waits for it until the time is over that it gives to all.
    in_time = {"GRANIAN_WORKERS_KILL_TIMEOUT": "3"}
    with cluster.another_node(GRANIAN_WORKERS="2", PROMETHEUS_MULTIPROC_DIR=str(tmp_path), **in_time) as found:
        yield found


def scrape(at: Any) -> dict[tuple[str, ...], float]:
    """Read the metrics by the node's address: their values by name and what labels say."""
    answer = AnyBrowser(f"http://127.0.0.1:{at.port}").get(at, "/metrics")
    assert answer.status == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *filter(None, one.labels.values())): one.value for family in families for one in family.samples}


def that_refreshed(folder: Path) -> list[int]:
    """The processes that have answered a refresh."""
    return [
        int(path.stem.removeprefix("histogram_"))
        for path in folder.glob("histogram_*.db")
        if any(
            '"latchkey_refresh_seconds_sum"' in key and value
            for key, value, *_ in MmapedDict.read_all_values_from_file(path)
        )
    ]


def use(node: Node, person: Person, folder: Path) -> list[Browser]:
    """Sign in and refresh, by connections that any process may take, until both have answered a refresh."""
    browsers: list[Browser] = []

    def come() -> bool:
        browsers.append(person.browser(node))
        assert browsers[-1].refresh(node).status == 200
        return len(that_refreshed(folder)) == 2

    wait_for(come, "a refresh by each process")
    return browsers


def test_counts_of_both_processes_are_one(node, person, tmp_path):
    browsers = use(node, person, tmp_path)
    assert browsers[0].post_json(node, "/api/auth/logout").status == 204
    for _ in range(10):
        found = scrape(node)
        assert found[ROTATED] == found["latchkey_refresh_seconds_count",] == len(browsers)
        assert found[SIGNED_IN] == found["latchkey_sign_in_seconds_count", "signed_in"] == len(browsers)
        assert found[ENDED] == 1
        assert found["latchkey_feed_lag_seconds",] == found["latchkey_feed_unreadable",] == 0
        assert found["latchkey_database_up",] == 1


def test_what_a_process_counted_outlives_it_and_what_it_said_of_itself_does_not(node, person, tmp_path):
    browsers = use(node, person, tmp_path)
    killed, *_ = that_refreshed(tmp_path)
    assert list(tmp_path.glob(f"gauge_live*_{killed}.db"))
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(killed), "the end of the process")
    assert scrape(node)[ROTATED] == len(browsers)
    assert not list(tmp_path.glob(f"gauge_live*_{killed}.db"))


def test_the_metrics_are_for_nobody_outside_and_the_health_for_everybody(cluster):
    stranger = AnyBrowser(cluster.origin)
    assert stranger.get(cluster.front, "/metrics").status == 404
    for address in ("203.0.113.7", "127.0.0.1, 203.0.113.7", "unknown"):
        assert stranger.get(cluster.a, "/metrics", **{"X-Forwarded-For": address}).status == 404
    for path in ("/health/live", "/health/ready"):
        assert stranger.get(cluster.front, path).status == 200


def test_a_purge_by_command_is_seen_by_every_node(cluster):
    before = scrape(cluster.a).get(("latchkey_purge_last_success_timestamp_seconds",), 0)
    cluster.manage("purge_tokens")
    at = {scrape(node)["latchkey_purge_last_success_timestamp_seconds",] for node in (cluster.a, cluster.b)}
    assert len(at) == 1
    assert at.pop() > before


def test_without_its_database_a_node_is_live_and_not_ready(cluster):
    with cluster.another_node(DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing") as node:
        prober = AnyBrowser(f"http://127.0.0.1:{node.port}")
        assert prober.get(node, "/health/live").status == 200
        answer = prober.get(node, "/health/ready")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert scrape(node)["latchkey_database_up",] == 0
