"""The results as an SVG picture: server CPU as a multiple of the bare view's, and refreshes per second."""

from collections.abc import Mapping
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
    asking = {peer.name: peer.ask.server_cpu / bare.ask.server_cpu for peer in results.peers}
    refreshing = {peer.name: peer.refresh for peer in results.peers if peer.refresh}
    cpu = {name: found.server_cpu / bare.refresh.server_cpu for name, found in refreshing.items()}
    rate = {name: found.requests_per_second for name, found in refreshing.items()}
    panels = [("A signed-in GET: server CPU, times a bare view's", asking, "{:.2f}")]
    if refreshing:
        panels += [("A refresh: server CPU, times a bare view's", cpu, "{:.2f}")]
        panels += [("Refreshes per second", rate, "{:,.0f}")]
    heights = [len(bars) for _, bars, _ in panels]
    height = sum(heights) * INCHES_OF_BAR + len(panels) * INCHES_OF_PANEL
    figure, axes = pyplot.subplots(len(panels), figsize=(7, height), height_ratios=heights, squeeze=False)
    for axis, (title, bars, form) in zip(axes.flat, panels, strict=True):
        _draw_bars(axis, title, bars, form, is_ratio=bars is not rate)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_bars(axis: Any, title: str, bars: Mapping[str, float], form: str, *, is_ratio: bool) -> None:
    """Draw the best bar first: the least ratio or the greatest rate. A line marks the ratio 1."""
    names, values = zip(*sorted(bars.items(), key=lambda bar: bar[1], reverse=not is_ratio), strict=True)
    drawn = axis.barh(names, values, color=[OURS if name.startswith("Latchkey") else THEIRS for name in names])
    axis.bar_label(drawn, [form.format(value) for value in values], padding=3)
    axis.set_title(title, loc="left", fontsize=10)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    if is_ratio:
        axis.axvline(1, color="black", linewidth=0.8)
