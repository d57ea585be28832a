"""The tables contain each figure with its ratio to the bare view."""

from tests.benchmarks.report import markdown
from tests.benchmarks.results import Extent, Result, Results, Size, Statement, Workload


def workload(server_cpu: float, requests_per_second: float) -> Workload:
    others = {"requests": 500, "p50": 1.0, "p99": 8.0, "database_cpu": 0.25, "statements": 2, "round_trips": 2}
    return Workload(requests_per_second=requests_per_second, server_cpu=server_cpu, **others)


RESULTS = Results(
    machine={"CPUs": 2},
    versions={"Django": "6.1"},
    extent=Extent(rounds=3, seconds=0.5, sessions=100, connections=4),
    bare=Result("bare view", False, Size(0, 0), ask=workload(0.2, 4000), refresh=workload(0.25, 4000)),
    peers=[
        Result("slow", False, Size(0, 0), ask=workload(1.0, 800)),
        Result("quick", True, Size(2000, 81920), ask=workload(0.22, 3600), refresh=workload(0.5, 2000)),
    ],
    rotation=Statement(per_second=20000, database_cpu=0.05),
)


def table(heading: str) -> dict[str, list[str]]:
    """Return the cells of each row, by its name."""
    lines = markdown(RESULTS).partition(f"## {heading}\n\n")[2].partition("\n\n")[0].splitlines()
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {name: cells for name, *cells in rows}


def test_each_figure_has_its_ratio_to_the_bare_view():
    assert table("A signed-in GET")["quick"][:2] == ["0.220 (1.10)", "3,600 (0.90)"]


def test_a_refresh_is_compared_with_a_bare_post_and_has_the_growth_of_the_tables():
    row = table("A refresh")["quick"]
    assert row[0] == "0.500 (2.00)"
    assert row[-2:] == ["2,000", "81,920"]


def test_below_the_bare_view_the_cheapest_peer_comes_first():
    assert list(table("A signed-in GET"))[2:] == ["bare view", "quick", "slow"]


def test_a_peer_without_a_refresh_is_not_in_its_table():
    assert "slow" not in table("A refresh")


def test_the_report_names_versions_and_machine():
    assert "CPUs 2. Django 6.1." in markdown(RESULTS)
