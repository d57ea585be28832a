"""Results as a picture, in SVG: server CPU as a multiple of the bare view's, and refreshes per second."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot

from tests.benchmarks.results import Results

INCHES_OF_BAR, INCHES_OF_PANEL = 0.25, 0.6
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
    panels = [
        ("A signed-in GET: server CPU, times a bare view's", sorted(asking, key=_value), "{:.2f}", 1),
        ("A refresh: server CPU, times a bare view's", sorted(cpu, key=_value), "{:.2f}", 1),
        ("Refreshes per second", sorted(rate, key=_value, reverse=True), "{:,.0f}", None),
    ]
    panels = [panel for panel in panels if panel[1]]
    heights = [len(bars) for _, bars, _, _ in panels]
    height = sum(heights) * INCHES_OF_BAR + len(panels) * INCHES_OF_PANEL
    figure, axes = pyplot.subplots(len(panels), figsize=(7, height), height_ratios=heights, squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=True):
        _bars(axis, *panel)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _bars(axis: Any, title: str, bars: Sequence[tuple[str, float]], written: str, floor: int | None) -> None:
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
