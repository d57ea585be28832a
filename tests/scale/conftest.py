"""Two nodes on one primary. Every test in this folder has the marker ``scale``."""

from collections.abc import Iterator

import pytest

from tests.scale.cluster import Cluster, started
from tests.scale.people import Person
from tests.tokens.service.processes import Process


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("scale")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # As many as a node has threads: these tests are not about sign-ins that have to wait.
    with started(tmp_path_factory.mktemp("cluster"), TOKENS_MAX_HASHINGS="8") as found:
        yield found


@pytest.fixture(scope="session")
def registrar(cluster: Cluster) -> Iterator[Process]:
    """A process that makes accounts, through PgBouncer too."""
    process = Process(cluster.url, **cluster.environment)
    yield process
    process.stop()


@pytest.fixture
def person(cluster: Cluster, registrar: Process) -> Person:
    """Somebody whom no other test knows."""
    return Person(cluster.origin).open_account(registrar)
