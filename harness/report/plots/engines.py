"""The figures that compare engines: every repeat, mean, interval, published values, ratios."""

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.metrics import FIGURE_METRICS, HEADLINES, RATIO_METRICS, Metric
from harness.analysis.published import PUBLISHED, exact, is_comparable
from harness.report.plots.style import (
    INK,
    MANY,
    PUBLISHED_INK,
    Plot,
    colours,
    log_axis,
    markers,
    new,
    offsets,
    plain,
    short,
    value_axis,
)
from harness.stats import Summary


def repeats_figure(analysis: Analysis, metric: Metric) -> Figure | None:
    """One metric: a row per engine with repeats, mean, interval; then the published values."""
    rows = [n for n in analysis.engines if analysis.figures(n, metric.key).n]
    if not rows:
        return None
    published = PUBLISHED[metric.key].values if is_comparable(analysis.run.manifest) else {}
    figure, (axis,) = new(len(rows) + len(published))
    scale = 100.0 if metric.kind == "accuracy" else 1.0
    values = [scale * value for value in published.values()]
    for place, name in enumerate(rows):
        values += _engine_row(axis, analysis, name, metric, place, scale)
    for place, value in enumerate(published.values(), start=len(rows)):
        axis.plot(scale * value, place, "d", mfc="none", mec=PUBLISHED_INK, ms=7, mew=1.4)
    name_rows(axis, [short(name) for name in rows], list(published))
    _scale(axis, metric, values)
    texts = [metric.text(analysis.figures(name, metric.key).mean) for name in rows]
    write_values(axis, [*texts, *(exact(metric, value) for value in published.values())])
    heading = f"{metric.title}: every repeat, mean, 95 % interval"
    figure.suptitle(heading, fontsize=10.5, x=0.02, ha="left")
    return figure


def _engine_row(
    axis: Axes, analysis: Analysis, name: str, metric: Metric, place: int, scale: float
) -> list[float]:
    """Draw one engine; returns all that was drawn, for the axis's limits."""
    figures = analysis.figures(name, metric.key)
    return sample_row(axis, analysis, name, figures, place, scale)


def sample_row(
    axis: Axes, analysis: Analysis, name: str, figures: Summary, place: int, scale: float
) -> list[float]:
    """Draw an engine's sample: points, mean, interval; returns all points."""
    values = [scale * value for value in figures.values]
    sns.scatterplot(
        x=values,
        y=[place + offset for offset in offsets(len(values))],
        color=colours(analysis)[name],
        marker=markers(analysis)[name],
        alpha=0.55,
        s=26,
        linewidth=0,
        ax=axis,
        rasterized=len(values) > MANY,
        legend=False,
        zorder=2,
    )
    if figures.mean is None:
        return values
    mean = scale * figures.mean
    if figures.mean_interval is not None:
        low, high = (scale * end for end in figures.mean_interval)
        axis.hlines(place, max(low, 1e-3 * mean), high, color=INK, linewidth=2.2, zorder=3)
    axis.vlines(mean, place - 0.33, place + 0.33, color=INK, linewidth=1.8, zorder=3)
    return values


def name_rows(axis: Axes, engines: list[str], published: list[str]) -> None:
    """The engines' names, then those of the study, down the left side."""
    names = [*engines, *(f"{name}, published\n(another machine)" for name in published)]
    axis.set_yticks(range(len(names)), names)
    for label in axis.get_yticklabels()[len(engines) :]:
        label.set_fontsize(7.5)
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.tick_params(axis="y", length=0)


def _scale(axis: Axes, metric: Metric, values: list[float]) -> None:
    if metric.kind == "accuracy":
        accuracy_axis(axis, values)
    else:
        value_axis(axis, values, "seconds, wall time", plain)


def accuracy_axis(axis: Axes, values: list[float]) -> None:
    """The x axis of accuracies in per cent: as wide as they lie, and half a point at least."""
    low, high = min(values), max(values)
    room = max(0.25, 0.12 * (high - low))
    axis.set_xlim(low - room, high + room)
    axis.set_xlabel("accuracy, % of the test images")
    axis.grid(axis="x")
    axis.xaxis.set_major_locator(plt.MaxNLocator(5))


def write_values(axis: Axes, texts: list[str]) -> None:
    """The means as text, right of the plot, so that nobody has to guess them from an axis."""
    for place, text in enumerate(texts):
        axis.annotate(
            text,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )


def ratio_figure(analysis: Analysis) -> Figure | None:
    """Every engine against the baseline: ratio and interval of each metric, on a log axis."""
    few = len(analysis.rivals) == 1
    cells = [
        cell
        for metric in RATIO_METRICS
        if few or metric.key in HEADLINES
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
    axis.set_yticks(range(len(cells)), [_ratio_name(analysis, cell) for cell in cells])
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
    colour, marker = colours(analysis)[cell.a], markers(analysis)[cell.a]
    axis.plot(ratio, place, marker, color=colour, ms=6, zorder=3)
    if interval is None:
        return [ratio]
    axis.hlines(place, *interval, color=colour, linewidth=2.2, zorder=2)
    # an interval over many decades (two blocks) would squeeze every other row: cut at the frame
    return [ratio, max(interval[0], ratio / 20), min(interval[1], ratio * 20)]


def _ratio_name(analysis: Analysis, cell: Comparison) -> str:
    if len(analysis.rivals) == 1:
        return cell.metric.title
    return f"{cell.metric.title}, {short(cell.a)}"


def comparison_plots() -> list[Plot]:
    """The study's four figures, then the ratios."""
    plots = [
        Plot(
            name=metric.key.removesuffix("_wall_s"),
            title=metric.title,
            alt=f"{metric.title} of every repeat by engine, with mean and 95 % interval.",
            draw=_of(metric),
        )
        for metric in FIGURE_METRICS
    ]
    alt = "Ratios of each engine to the baseline with 95 % intervals, on a log axis."
    return [*plots, Plot("ratios", "Ratios", alt, ratio_figure)]


def _of(metric: Metric) -> Callable[[Analysis], Figure | None]:
    return partial(repeats_figure, metric=metric)
