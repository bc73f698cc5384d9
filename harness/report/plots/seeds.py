"""The plots of accuracy over seeds: every start's last accuracy, and the learning curves."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.metrics import BY_KEY
from harness.analysis.seeds import Accuracy
from harness.report.plots.engines import name_rows, sample_row, share_axis
from harness.report.plots.style import MANY, Plot, heading, look, new, plot, short, write_values

DASHES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
LONG_NAME = 16  # three of them do not fit side by side into the legend
SHIFT = 0.05  # epochs between engines, since those that do the same work have the same curves
PLOTS: list[Plot] = []


@plot(PLOTS, "seeds", "Accuracy from every start by engine, with mean and 95 % interval.")
def seeds_plot(analysis: Analysis) -> Figure | None:
    """Accuracy after the last epoch: a row per engine, every start a point, mean, interval."""
    rows = [row for row in analysis.last_spreads if row.summary.n]
    if not rows or not analysis.run.manifest.further_seeds:
        return None  # without further starts it would be the plot of the blocks again
    figure, (axis,) = new(len(rows))
    values: list[float] = []
    for place, row in enumerate(rows):
        values += sample_row(axis, analysis, row.engine, row.summary, place, 100.0)
    name_rows(axis, [row.engine for row in rows])
    share_axis(axis, values, BY_KEY["accuracy"].axis)
    write_values(axis, [units.percent(row.summary.mean) for row in rows])
    heading(figure, "Accuracy over seeds: every start, mean, 95 % interval")
    return figure


@plot(
    PLOTS,
    "curves",
    "Accuracy on the test set after each epoch: every start faint, mean strong.",
)
def curves_plot(analysis: Analysis) -> Figure | None:
    """Accuracy on the test set by epoch: a mean line per engine, each start a faint one."""
    if not analysis.run.manifest.curves:
        return None
    known = [one for one in analysis.found if one.value is not None]
    present = [name for name in analysis.engines if any(one.engine == name for one in known)]
    if not present:
        return None
    figure, (axis,) = new(5.5)
    for place, name in enumerate(present):
        shift = SHIFT * (place - (len(present) - 1) / 2)
        _starts(axis, analysis, [one for one in known if one.engine == name], shift)
        _mean_line(axis, analysis, name, shift)
    axis.set_xlim(0.5, analysis.run.manifest.epochs + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("epochs of training")
    axis.set_ylabel("accuracy, % of the\ntest images")
    axis.grid(axis="y")
    columns = 3 if max(map(len, present)) < LONG_NAME else 2
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8, handlelength=3)
    axis.set_title("Learning curves: every start faint, mean strong")
    return figure


def _starts(axis: Axes, analysis: Analysis, own: list[Accuracy], shift: float) -> None:
    """One faint line per seed; a failed epoch is a gap."""
    colour = look(analysis, own[0].engine)["color"]
    epochs = range(1, analysis.run.manifest.epochs + 1)
    by_seed: dict[int, dict[int, float]] = {}
    for one in own:
        assert one.value is not None
        by_seed.setdefault(one.seed, {})[one.epoch] = 100 * one.value
    for values in by_seed.values():
        axis.plot(
            [epoch + shift for epoch in epochs],
            [values.get(epoch, float("nan")) for epoch in epochs],
            color=colour,
            marker=".",
            markersize=3,
            linewidth=0.8,
            alpha=0.4,
            rasterized=len(own) > MANY,
            zorder=2,
        )


def _mean_line(axis: Axes, analysis: Analysis, name: str, shift: float) -> None:
    rows = [r for r in analysis.spreads if r.engine == name and r.summary.mean is not None]
    axis.plot(
        [row.epoch + shift for row in rows],
        [100 * (row.summary.mean or 0.0) for row in rows],
        **look(analysis, name),
        markersize=5,
        linewidth=1.7,
        linestyle=DASHES[analysis.engines.index(name) % len(DASHES)],
        label=short(name),
        zorder=3,
    )
