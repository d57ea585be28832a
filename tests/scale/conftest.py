"""Two nodes on one primary. Every test in this folder has the marker ``scale``."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.scale.cluster import Cluster
from tests.scale.people import Account
from tests.tokens.service.processes import Process


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("scale")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of all tests. With fewer hashings at a time than a node has threads, sign-ins would have to wait."""
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path_factory.mktemp("cluster"), TOKENS_MAX_HASHINGS="8")


@pytest.fixture(scope="session")
def registrar(cluster: Cluster) -> Iterator[Process]:
    """A process that creates accounts. Without it no test would open one through PgBouncer, as the project does."""
    process = Process(cluster.url, **cluster.environment)
    yield process
    process.stop()


@pytest.fixture
def account(cluster: Cluster, registrar: Process) -> Account:
    """A new account. With one for all tests, a session that one test ends or a throttle would disturb another test."""
    return Account(cluster.origin).open(registrar)
