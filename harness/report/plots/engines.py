"""The plots that compare engines: every repeat, mean, interval, published values, ratios."""

from functools import partial

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.metrics import METRICS, RATIO_METRICS, Metric
from harness.analysis.published import PROGRAMS, PUBLISHED, exact, is_comparable
from harness.report.plots.style import (
    INK,
    MANY,
    PUBLISHED_INK,
    Plot,
    heading,
    log_axis,
    look,
    new,
    offsets,
    plain,
    plot,
    short,
    value_axis,
    write_values,
)
from harness.stats import Summary


def repeats_plot(analysis: Analysis, metric: Metric) -> Figure | None:
    """One metric: a row per engine with repeats, mean, interval; then the published values."""
    rows = [n for n in analysis.engines if analysis.summary(n, metric.key).n]
    if not rows:
        return None
    known = metric.key in PUBLISHED and is_comparable(analysis.run.manifest)
    published = PUBLISHED[metric.key] if known else ()
    figure, (axis,) = new(len(rows) + len(published))
    scale = metric.quantity.scale
    values = [scale * value for value in published]
    for place, name in enumerate(rows):
        values += sample_row(axis, analysis, name, analysis.summary(name, metric.key), place, scale)
    for place, value in enumerate(published, start=len(rows)):
        axis.plot(scale * value, place, "d", mfc="none", mec=PUBLISHED_INK, ms=7, mew=1.4)
    name_rows(axis, rows, PROGRAMS if known else ())
    label = metric.axis or metric.quantity.axis
    if metric.quantity.is_share:
        share_axis(axis, values, label)
    else:
        value_axis(axis, values, label, plain)
    texts = [metric.text(analysis.summary(name, metric.key).mean) for name in rows]
    write_values(axis, [*texts, *(exact(metric, value) for value in published)])
    heading(figure, f"{metric.title}: every repeat, mean, 95 % interval")
    return figure


def sample_row(
    axis: Axes, analysis: Analysis, name: str, summary: Summary, place: int, scale: float
) -> list[float]:
    """Draw an engine's sample: points, mean, interval; returns all points for the limits."""
    values = [scale * value for value in summary.values]
    sns.scatterplot(
        x=values,
        y=[place + offset for offset in offsets(len(values))],
        **look(analysis, name),
        alpha=0.55,
        s=26,
        linewidth=0,
        ax=axis,
        rasterized=len(values) > MANY,
        legend=False,
        zorder=2,
    )
    if summary.mean is None:
        return values
    mean = scale * summary.mean
    if summary.mean_interval is not None:
        low, high = (scale * end for end in summary.mean_interval)
        axis.hlines(place, max(low, 1e-3 * mean), high, color=INK, linewidth=2.2, zorder=3)
    axis.vlines(mean, place - 0.33, place + 0.33, color=INK, linewidth=1.8, zorder=3)
    return values


def name_rows(axis: Axes, engines: list[str], published: tuple[str, ...] = ()) -> None:
    """The engines' names, then those of the study, down the left side."""
    names = [short(name) for name in engines]
    names += [f"{name}, published\n(another machine)" for name in published]
    axis.set_yticks(range(len(names)), names)
    for label in axis.get_yticklabels()[len(engines) :]:
        label.set_fontsize(7.5)
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.tick_params(axis="y", length=0)


def share_axis(axis: Axes, values: list[float], label: str) -> None:
    """The x axis of shares in per cent: as wide as they lie, and half a point at least."""
    low, high = min(values), max(values)
    room = max(0.25, 0.12 * (high - low))
    axis.set_xlim(low - room, high + room)
    axis.set_xlabel(label)
    axis.grid(axis="x")
    axis.xaxis.set_major_locator(plt.MaxNLocator(5))


PLOTS = [
    Plot(
        name=metric.key.removesuffix("_wall_s"),
        alt=f"{metric.title} of every repeat by engine, with mean and 95 % interval.",
        draw=partial(repeats_plot, metric=metric),
    )
    for metric in METRICS
    if metric.drawn
]


@plot(PLOTS, "ratios", "Ratios of each engine to the baseline with 95 % intervals, on a log axis.")
def ratio_plot(analysis: Analysis) -> Figure | None:
    """Every engine against the baseline: ratio and interval of each metric, on a log axis."""
    few = len(analysis.rivals) == 1
    cells = [
        cell
        for metric in RATIO_METRICS
        if few or metric.headline
        for name in analysis.rivals
        if (cell := analysis.comparisons[name, analysis.baseline][metric.key]).ratio.ratio
        and not cell.withheld
    ]
    if not cells:
        return None
    figure, (axis,) = new(0.8 * len(cells) + 1)
    ends = [1.0]
    for place, cell in enumerate(cells):
        ends += _ratio_row(axis, analysis, cell, place)
    axis.axvline(1.0, color=INK, linewidth=1.0)
    margin = analysis.margins.time_share
    axis.axvspan(1 / (1 + margin), 1 + margin, color=PUBLISHED_INK, alpha=0.25, linewidth=0)
    names = [cell.metric.title + ("" if few else f", {short(cell.a)}") for cell in cells]
    axis.set_yticks(range(len(cells)), names)
    axis.tick_params(axis="y", length=0, labelsize=8.5)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    log_axis(axis, min(ends) / 1.5, max(ends) * 1.5, plain)
    axis.set_xlabel(f"ratio to {short(analysis.baseline)}, log scale")
    axis.grid(axis="x")
    axis.set_title("Ratios with 95 % intervals")
    write_values(axis, [units.ratio(cell.ratio.ratio) for cell in cells])
    return figure


def _ratio_row(axis: Axes, analysis: Analysis, cell: Comparison, place: int) -> list[float]:
    ratio, interval = cell.ratio.ratio, cell.ratio.interval
    assert ratio is not None
    ours = look(analysis, cell.a)
    axis.plot(ratio, place, **ours, linestyle="none", ms=6, zorder=3)
    if interval is None:
        return [ratio]
    axis.hlines(place, *interval, color=ours["color"], linewidth=2.2, zorder=2)
    # an interval over many decades (two blocks) would squeeze every other row: cut at the frame
    return [ratio, max(interval[0], ratio / 20), min(interval[1], ratio * 20)]
