"""Results as a picture, in SVG: server CPU as a multiple of the bare view's, and refreshes per second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot

from tests.benchmarks.results import Results

OURS, THEIRS = "#1a66b8", "#9aa5b1"
# Text stays text, and the same figures make the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "latchkey", "font.size": 9})


def draw(results: Results, path: Path) -> None:
    """Write the picture."""
    bare = results.bare
    assert bare.refresh
    asking = [(peer.name, peer.ask.server_cpu / bare.ask.server_cpu) for peer in results.peers]
    refreshing = [(peer.name, peer.refresh) for peer in results.peers if peer.refresh]
    cpu = [(name, found.server_cpu / bare.refresh.server_cpu) for name, found in refreshing]
    rate = [(name, found.requests_per_second) for name, found in refreshing]
    figure, axes = pyplot.subplots(3, 1, figsize=(7, 6.5), height_ratios=[len(asking), len(cpu), len(rate)])
    _bars(axes[0], "A signed-in GET: server CPU, times a bare view's", sorted(asking, key=_value), "{:.2f}", floor=1)
    _bars(axes[1], "A refresh: server CPU, times a bare POST's", sorted(cpu, key=_value), "{:.2f}", floor=1)
    _bars(axes[2], "Refreshes per second", sorted(rate, key=_value, reverse=True), "{:,.0f}")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _bars(axis: Any, title: str, bars: Sequence[tuple[str, float]], written: str, floor: float | None = None) -> None:
    names, values = zip(*bars, strict=True)
    drawn = axis.barh(names, values, color=[OURS if name.startswith("Latchkey") else THEIRS for name in names])
    axis.bar_label(drawn, [written.format(value) for value in values], padding=3)
    axis.set_title(title, loc="left", fontsize=10)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    if floor is not None:
        axis.axvline(floor, color="black", linewidth=0.8)


def _value(bar: tuple[str, float]) -> float:
    return bar[1]
