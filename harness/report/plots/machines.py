"""The plot of a run of several machines: each one's ratio, and the line over them (a forest)."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.metrics import BY_KEY, Metric
from harness.report.plots.style import (
    INK,
    PUBLISHED_INK,
    Plot,
    heading,
    log_axis,
    look,
    new,
    plain,
    plot,
    short,
    write_values,
)
from harness.stats.describe import Interval

PLOTS: list[Plot] = []
METRIC = BY_KEY["train_wall_s"]
MOST = 40  # machines that are drawn; the tables have all of them


@plot(
    PLOTS,
    "machines",
    "Training time as a ratio to the baseline: a row per machine with its 95 % interval, and below "
    "them the random-effects line over all machines.",
)
def forest(analysis: Analysis) -> Figure | None:
    """A panel per engine: ratios of the machines, and over them."""
    rivals = [n for n in analysis.rivals if analysis.across[n, analysis.baseline][METRIC.key]]
    if not rivals:
        return None
    shown = list(analysis.machines)[:MOST]
    figure, axes = new((len(shown) + 1.5) * len(rivals), panels=len(rivals))
    for axis, name in zip(axes, rivals, strict=True):
        _panel(axis, analysis, name, shown, METRIC)
    heading(figure, f"{METRIC.title}: ratio on every machine, and over them, 95 % intervals")
    return figure


def _panel(axis: Axes, analysis: Analysis, name: str, shown: list[str], metric: Metric) -> None:
    pair = name, analysis.baseline
    found = [analysis.machines[machine].comparisons[pair][metric.key].ratio for machine in shown]
    line = analysis.across[pair][metric.key]
    assert line is not None
    rows: list[tuple[float | None, Interval | None]] = [(r.ratio, r.interval) for r in found]
    rows.append((line.ratio, line.interval))
    ends = [1.0]
    for place, (ratio, interval) in enumerate(rows):
        if ratio is None:
            continue
        last = place == len(shown)
        how = {"color": INK, "marker": "D"} if last else look(analysis, name)
        if interval is not None:
            axis.hlines(place, *interval, color=how["color"], linewidth=2.2 if last else 1.4)
            ends += interval
        axis.plot(ratio, place, ms=7 if last else 5, **how)
        ends.append(ratio)
    axis.axvline(1.0, color=PUBLISHED_INK, linewidth=1.0)
    axis.set_yticks(range(len(rows)), [*shown, "all of them"])
    axis.tick_params(axis="y", length=0, labelsize=8.5)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    log_axis(axis, min(ends) / 1.3, max(ends) * 1.3, plain)
    axis.set_xlabel(f"{short(name)} / {short(analysis.baseline)}, log scale")
    axis.grid(axis="x")
    write_values(axis, [units.ratio(ratio) for ratio, _ in rows])
