"""Everything here has the marker ``faults``, but for the long versions, which have ``exhaustive`` alone.

After the run each test has a line that says what was done while its fault lasted, and how that was answered.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.people import Crowd
from tests.faults.site import Site, started

_FIGURES = "figures"


def pytest_itemcollected(item: pytest.Item) -> None:
    if not item.get_closest_marker("exhaustive"):
        item.add_marker("faults")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that each of the faults leaves as it was."""
    with started(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(params=[1, pytest.param(15, marks=pytest.mark.exhaustive)], ids=["short", "long"])
def times(request: pytest.FixtureRequest) -> int:
    """How many times as often something breaks."""
    return int(request.param)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[[Crowd], None]]:
    """Let this crowd's figures be shown after the run."""
    crowds: list[Crowd] = []
    yield crowds.append
    request.node.user_properties += [(_FIGURES, str(crowd)) for crowd in crowds]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("", "passed", "failed", "error") for report in terminalreporter.getreports(kind)]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in reports
        if report.when == "teardown"
        for name, text in report.user_properties
        if name == _FIGURES
    ]
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.line(line)
