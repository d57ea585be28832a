"""The results as an SVG picture: the CPU of a request, and refreshes per second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot

from tests.benchmarks.results import Result, Results

INCHES_OF_BAR, INCHES_OF_PANEL = 0.25, 0.7
OURS, THEIRS, BARE, DATABASE = "#1a66b8", "#9aa5b1", "#d5dae0", "#e0a34a"
# Text stays text, and the same figures make the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "latchkey", "font.size": 9})


def draw(results: Results, path: Path) -> None:
    """Write the picture. Without peers that refresh it has one panel instead of three."""
    everyone, peers = [*results.bares, *results.peers], [peer for peer in results.peers if peer.refresh]
    heights = [len(everyone), len(results.bares) + len(peers), len(peers)] if peers else [len(everyone)]
    height = sum(heights) * INCHES_OF_BAR + len(heights) * INCHES_OF_PANEL
    figure, axes = pyplot.subplots(len(heights), figsize=(8, height), height_ratios=heights, squeeze=False)
    _draw_cpu(axes[0, 0], "A signed-in GET", results, everyone, "ask")
    if peers:
        _draw_cpu(axes[1, 0], "A refresh", results, [*results.bares, *peers], "refresh")
        _draw_rate(axes[2, 0], peers)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_cpu(axis: Any, what: str, results: Results, shown: Sequence[Result], workload: str) -> None:
    """Draw a bar for each, the shortest first, with the database's part after the server's."""
    legend = "server + database (orange),\nand the server's as a multiple of the bare handler's on its platform"

    def parts(one: Result) -> tuple[float, float]:
        found = getattr(one, workload)
        return found.server_cpu, found.database_cpu

    shown = sorted(shown, key=lambda one: sum(parts(one)))
    servers, databases = zip(*map(parts, shown), strict=True)
    names = [one.name for one in shown]
    axis.barh(names, servers, color=[_color(one) for one in shown])
    drawn = axis.barh(names, databases, left=servers, color=DATABASE)
    ratios = [results.ratio(one, workload, "server_cpu") for one in shown]
    labels = [
        f"{server:.2f} + {database:.2f} ({ratio:.2f} ×)"
        for server, database, ratio in zip(servers, databases, ratios, strict=True)
    ]
    _finish(axis, f"{what}, ms of CPU: {legend}", drawn, labels)


def _draw_rate(axis: Any, shown: Sequence[Result]) -> None:
    shown = sorted(shown, key=_rate, reverse=True)
    drawn = axis.barh([one.name for one in shown], [*map(_rate, shown)], color=[_color(one) for one in shown])
    _finish(
        axis,
        "Refreshes per second (Glewlwyd: one request after the other)",
        drawn,
        [f"{_rate(one):,.0f}" for one in shown],
    )


def _rate(one: Result) -> float:
    assert one.refresh
    return one.refresh.requests_per_second


def _color(one: Result) -> str:
    if one.name == one.bare:
        return BARE
    return OURS if one.name.startswith("Latchkey") else THEIRS


def _finish(axis: Any, title: str, drawn: Any, labels: Sequence[str]) -> None:
    axis.bar_label(drawn, labels, padding=3)
    axis.set_title(title, loc="left", fontsize=9)
    axis.invert_yaxis()
    axis.margins(x=0.25)
    axis.spines[["top", "right"]].set_visible(False)
