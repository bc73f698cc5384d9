"""The figures of accuracy over seeds: every start's last accuracy, and the learning curves."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.seeds import Accuracy
from harness.report.plots.engines import accuracy_axis, name_rows, sample_row, write_values
from harness.report.plots.style import MANY, Plot, colours, markers, new, short

DASHES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
LONG_NAME = 16  # three of them do not fit side by side into the legend
SHIFT = 0.05  # epochs between engines, since those that do the same work have the same curves


def seeds_figure(analysis: Analysis) -> Figure | None:
    """Accuracy after the last epoch: a row per engine, every start a point, mean, interval."""
    rows = [row for row in analysis.last_spreads if row.figures.n]
    if not rows or not analysis.run.manifest.further_seeds:
        return None  # without further starts it would be the figure of the blocks again
    figure, (axis,) = new(len(rows))
    values: list[float] = []
    for place, row in enumerate(rows):
        values += sample_row(axis, analysis, row.engine, row.figures, place, 100.0)
    name_rows(axis, [short(row.engine) for row in rows], [])
    accuracy_axis(axis, values)
    write_values(axis, [units.percent(row.figures.mean) for row in rows])
    heading = "Accuracy over seeds: every start, mean, 95 % interval"
    figure.suptitle(heading, fontsize=10.5, x=0.02, ha="left")
    return figure


def curves_figure(analysis: Analysis) -> Figure | None:
    """Accuracy on the test set by epoch: a mean line per engine, each start a faint one."""
    if not analysis.run.manifest.curves:
        return None
    known = [one for one in analysis.found if one.value is not None]
    present = [name for name in analysis.engines if any(one.engine == name for one in known)]
    if not present:
        return None
    figure, (axis,) = new(5.5)
    handles = []
    for place, name in enumerate(present):
        shift = SHIFT * (place - (len(present) - 1) / 2)
        _starts(axis, analysis, [one for one in known if one.engine == name], shift)
        handles.append(_mean_line(axis, analysis, name, shift))
    axis.set_xlim(0.5, analysis.run.manifest.epochs + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.set_xlabel("epochs of training")
    axis.set_ylabel("accuracy, % of the\ntest images")
    axis.grid(axis="y")
    columns = 3 if max(map(len, present)) < LONG_NAME else 2
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=8, handlelength=3
    )
    axis.set_title("Learning curves: every start faint, mean strong")
    return figure


def _starts(axis: Axes, analysis: Analysis, own: list[Accuracy], shift: float) -> None:
    """One faint line per seed; a failed epoch is a gap."""
    colour = colours(analysis)[own[0].engine]
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


def _mean_line(axis: Axes, analysis: Analysis, name: str, shift: float) -> Line2D:
    rows = [r for r in analysis.spreads if r.engine == name and r.figures.mean is not None]
    (line,) = axis.plot(
        [row.epoch + shift for row in rows],
        [100 * (row.figures.mean or 0.0) for row in rows],
        color=colours(analysis)[name],
        marker=markers(analysis)[name],
        markersize=5,
        linewidth=1.7,
        linestyle=DASHES[analysis.engines.index(name) % len(DASHES)],
        label=short(name),
        zorder=3,
    )
    return line


def spread_plots() -> list[Plot]:
    """Every start's accuracy, then the learning curves."""
    return [
        Plot(
            "seeds",
            "Accuracy over seeds",
            "Accuracy from every start by engine, with mean and 95 % interval.",
            seeds_figure,
        ),
        Plot(
            "curves",
            "Learning curves",
            "Accuracy on the test set after each epoch: every start faint, mean strong.",
            curves_figure,
        ),
    ]
