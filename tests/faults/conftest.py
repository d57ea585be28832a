"""Every test in this folder has the marker ``faults``, except the long versions, which have only ``exhaustive``.

After the run, a line for each test says what the simulated users did during the fault, and with which responses.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.faults import people
from tests.faults.people import FEW, Load
from tests.faults.site import AnySite, Site, started

_FIGURES = "figures"


def pytest_itemcollected(item: pytest.Item) -> None:
    if not item.get_closest_marker("exhaustive"):
        item.add_marker("faults")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for all tests whose fault leaves it as it was. Starting one for each test would take minutes."""
    with started(tmp_path_factory.mktemp("site"), replicated=False) as found:
        yield found


@pytest.fixture(params=[1, pytest.param(15, marks=pytest.mark.exhaustive)], ids=["short", "long"])
def times(request: pytest.FixtureRequest) -> int:
    """How many times as often the fault happens. A failure that is rare shows only in the long version."""
    return int(request.param)


@pytest.fixture
def users(times: int) -> int:
    """How many users there are while processes start. In the short version few, so that a start does not last long."""
    return FEW if times == 1 else 2 * FEW


@pytest.fixture
def under_load(request: pytest.FixtureRequest) -> Iterator[Callable[..., AbstractContextManager[Load]]]:
    """`people.under_load`, with its figures shown after the run: a test in which little happened must not look good."""
    loads: list[Load] = []

    @contextmanager
    def noted(site: AnySite, **options: Any) -> Iterator[Load]:
        with people.under_load(site, **options) as load:
            loads.append(load)
            yield load

    yield noted
    request.node.user_properties += [(_FIGURES, str(load)) for load in loads]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for kind in ("", "passed", "failed", "error")
        for report in terminalreporter.getreports(kind)
        if report.when == "teardown"
        for name, text in report.user_properties
        if name == _FIGURES
    ]
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.line(line)
