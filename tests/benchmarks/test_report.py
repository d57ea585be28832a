"""The tables: each figure beside its ratio to the floor."""

from tests.benchmarks.floors import Statement
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Extent, Result, Results, Workload
from tests.benchmarks.sizes import Growth


def workload(server_cpu: float, requests_per_second: float) -> Workload:
    return Workload(
        requests=500,
        requests_per_second=requests_per_second,
        p50=1.0,
        p99=8.0,
        server_cpu=server_cpu,
        database_cpu=0.25,
        statements=2,
        round_trips=2,
    )


RESULTS = Results(
    machine={"CPUs": 2},
    versions={"Django": "6.1"},
    extent=Extent(rounds=3, seconds=0.5, sessions=100, connections=4),
    bare=Result("bare view", False, Growth(0, 0), ask=workload(0.2, 4000), refresh=workload(0.25, 4000)),
    peers=[
        Result("slow", False, Growth(0, 0), ask=workload(1.0, 800)),
        Result("quick", True, Growth(2000, 81920), ask=workload(0.22, 3600), refresh=workload(0.5, 2000)),
    ],
    rotation=Statement(per_second=20000, database_cpu=0.05),
)


def table(heading: str) -> dict[str, list[str]]:
    """Return the cells of each row, by its name."""
    lines = markdown(RESULTS).partition(f"## {heading}\n\n")[2].partition("\n\n")[0].splitlines()
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {name: cells for name, *cells in rows}


def test_a_figure_stands_beside_its_ratio_to_the_bare_view():
    assert table("A signed-in GET")["quick"][:2] == ["0.220 (1.10)", "3,600 (0.90)"]


def test_a_refresh_is_compared_with_a_bare_post_and_says_by_how_much_tables_grow():
    row = table("A refresh")["quick"]
    assert row[0] == "0.500 (2.00)"
    assert row[-2:] == ["2,000", "81,920"]


def test_whoever_takes_least_comes_first_below_the_floor():
    assert list(table("A signed-in GET"))[2:] == ["bare view", "quick", "slow"]


def test_who_has_no_refresh_is_not_in_its_table():
    assert "slow" not in table("A refresh")


def test_versions_and_machine_are_said():
    assert "CPUs 2. Django 6.1." in markdown(RESULTS)
