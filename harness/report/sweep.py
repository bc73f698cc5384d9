"""A sweep's page: a curve per engine over the values of a setting, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from harness import units
from harness.analysis.analysis import Analysis, analyze
from harness.analysis.metrics import BY_KEY, METRICS, Metric
from harness.errors import NothingMeasuredError
from harness.records.store import MANIFEST
from harness.report.frames import MEAN_ENDS, summary_values
from harness.report.page import fresh_report, shown, write_pages
from harness.report.plots.style import (
    LOG_FROM,
    WIDTH,
    colour,
    heading,
    marker,
    plain,
    short,
    style,
    write,
)
from harness.report.render import write_csv
from harness.report.table import Table, texts
from harness.report.tables import mean_and_sd, ratio_text
from harness.run.sweep import points, read_axes
from harness.safe import files
from harness.stats import Summary

TRAINING = BY_KEY["train_wall_s"]  # the table of all points tells it as a ratio, too
LARGEST = 1e15  # of a value that stands at its own place along an axis
Panel = list[tuple[str, Analysis]]
Point = tuple[dict[str, str], Analysis]
MACHINE = "machine"


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep: settings and values, and the analysis of every point that has a run.

    Of points that several machines measured, found has each machine's part: seconds of two machines
    lie on no common curve. Its values then have the machine as well.
    """

    folder: Path
    axes: dict[str, list[str]]
    found: list[tuple[dict[str, str], Analysis]]
    measured: int

    @property
    def engines(self) -> list[str]:
        """The engines of all runs, in order of first appearance."""
        return list(dict.fromkeys(name for _, a in self.found for name in a.engines))

    @property
    def settings(self) -> list[str]:
        """What tells two points apart: the settings, and the machine where there are several."""
        return list(self.found[0][0])

    @property
    def across(self) -> str:
        """The setting along the x axis: the one with the most values."""
        return max(self.axes, key=lambda key: len(self.axes[key]))

    def panels(self) -> Iterator[tuple[str, Panel]]:
        """For every combination of the other settings: its text, and the points along `across`."""
        groups: dict[str, Panel] = {}
        for values, analysis in self.found:
            rest = ", ".join(f"{k} = {v}" for k, v in values.items() if k != self.across)
            groups.setdefault(rest, []).append((values[self.across], analysis))
        yield from groups.items()


def read_sweep(folder: Path) -> Sweep:
    """Read every run of the sweep in `folder`. Raises: NothingMeasuredError if none is valid."""
    axes = read_axes(folder)
    runs = [
        (point.values, analyze(folder / point.name))
        for point in points(axes)
        if files.is_regular(folder / point.name / MANIFEST)
    ]
    if not any(analysis.run.valid() for _, analysis in runs):
        raise NothingMeasuredError(f"{folder}: no trial is valid, so nothing was measured.")
    return Sweep(folder, axes, _by_machine(runs), len(runs))


def _by_machine(runs: list[Point]) -> list[Point]:
    """Each machine's part of each run, where there are several machines in all."""
    machines = {name for _, analysis in runs for name in _machines(analysis)}
    if len(machines) < 2:
        return runs
    return [
        (values | {MACHINE: name}, analysis.machines.get(name, analysis))
        for values, analysis in runs
        for name in _machines(analysis)
    ]


def _machines(analysis: Analysis) -> list[str]:
    return list(analysis.machines) or sorted({t.machine for t in analysis.run.finished()})


def write_sweep_report(sweep: Sweep) -> Path:
    """Write `report/` of the sweep: page, Markdown, plots, `summary.csv`; returns the folder."""
    panels = list(sweep.panels())
    names = [f"{m.key}-{n}" for n, _ in enumerate(panels, start=1) for m in METRICS if m.swept]
    folder = fresh_report(sweep.folder, names)
    write_csv(all_summaries(sweep), folder / "summary.csv")
    drawn = []
    for number, (rest, panel) in enumerate(panels, start=1):
        for metric in (metric for metric in METRICS if metric.swept):
            name = f"{metric.key}-{number}"
            with style():
                figure = curve(sweep, metric, rest, panel)
                if figure is None:
                    continue
                write(figure, folder, name)
            alt = f"{metric.title} over {sweep.across}{f', {rest}' if rest else ''}"
            drawn.append(shown(name, alt, folder))
    values = {
        "name": sweep.folder.name,
        "axes": sweep.axes,
        "summary": point_table(sweep),
        "plots": drawn,
        "planned": len(points(sweep.axes)),
        "measured": sweep.measured,
    }
    write_pages("sweep", values, folder)
    return folder


def curve(sweep: Sweep, metric: Metric, rest: str, panel: Panel) -> Figure | None:
    """One metric over the swept setting: a line per engine through the means, with intervals."""
    numbers = _numbers([value for value, _ in panel])
    figure, axis = plt.subplots(figsize=(WIDTH, 3.3), layout="constrained")
    drawn: list[float] = []
    for index, name in enumerate(sweep.engines):
        shift = index - (len(sweep.engines) - 1) / 2
        known = [
            (_beside(numbers[value], shift, numbers), analysis.summary(name, metric.key))
            for value, analysis in panel
            if name in analysis.engines and analysis.summary(name, metric.key).n
        ]
        drawn += _line(axis, metric, index, name, known)
    if not drawn:
        plt.close(figure)
        return None
    _scales(axis, metric, numbers, drawn)
    axis.set_xlabel(sweep.across + (", log scale" if axis.get_xscale() == "log" else ""))
    heading(figure, f"{metric.title}, mean and 95 % interval{f' ({rest})' if rest else ''}")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _is_log(numbers: dict[str, float]) -> bool:
    """Whether the values of the setting lie so far apart that the axis is logarithmic."""
    low, high = min(numbers.values()), max(numbers.values())
    return low > 0 and high > LOG_FROM * low


def _beside(x: float, shift: float, numbers: dict[str, float]) -> float:
    """A place next to x, so that engines with the same value do not hide each other."""
    low, high = min(numbers.values()), max(numbers.values())
    if _is_log(numbers):
        return float(x * (high / low) ** (0.012 * shift))
    return x + 0.012 * shift * ((high - low) or 1.0)


def _line(
    axis: Axes, metric: Metric, index: int, name: str, known: list[tuple[float, Summary]]
) -> list[float]:
    scale = metric.quantity.scale
    ys = [scale * (summary.mean or 0.0) for _, summary in known]
    for (x, summary), mean in zip(known, ys, strict=True):
        if summary.mean_interval is not None:
            low, high = (scale * end for end in summary.mean_interval)
            axis.vlines(x, max(low, 1e-3 * mean), high, color=colour(index), linewidth=1.6)
    if known:
        xs = [x for x, _ in known]
        axis.plot(
            xs, ys, color=colour(index), marker=marker(index), ms=5, lw=1.3, label=short(name)
        )
    return ys


def _scales(axis: Axes, metric: Metric, numbers: dict[str, float], drawn: list[float]) -> None:
    if _is_log(numbers):
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(list(numbers.values()), [short(text) for text in numbers])
    axis.set_ylabel(metric.quantity.axis)
    axis.grid(axis="y")
    if metric.quantity.is_share:
        return
    positive = [y for y in drawn if y > 0]
    if positive and max(positive) > LOG_FROM * min(positive):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: plain(y)))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel(f"{axis.get_ylabel()}, log scale")
    else:
        axis.set_ylim(0, 1.15 * max(drawn))


def _numbers(values: list[str]) -> dict[str, float]:
    """Places along the axis: the values themselves where all are numbers, else 1, 2, 3, ..."""
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        numbers = {}
    if numbers and all(abs(number) < LARGEST for number in numbers.values()):
        return numbers
    return {value: float(place) for place, value in enumerate(values, start=1)}


def all_summaries(sweep: Sweep) -> Table:
    """`summary.csv`: one row per point, engine and metric, unrounded, up to the mean's interval."""
    tables = [(values, summary_values(analysis)) for values, analysis in sweep.found]
    kept = [c.head for c in tables[0][1].columns].index(MEAN_ENDS[-1]) + 1
    rows = [[*values.values(), *row[:kept]] for values, table in tables for row in table.rows]
    return Table([*texts(*sweep.settings), *tables[0][1].columns[:kept]], rows)


def point_table(sweep: Sweep) -> Table:
    """One row per point and engine: the swept metrics, and the training time as a ratio."""
    metrics = [metric for metric in METRICS if metric.swept]
    heads = [*sweep.settings, "engine", *(metric.title for metric in metrics)]
    rows = []
    for values, analysis in sweep.found:
        for name in analysis.engines:
            cells = [mean_and_sd(analysis, name, metric) for metric in metrics]
            is_rival = name in analysis.rivals
            ratio = ratio_text(analysis, name, TRAINING) if is_rival else units.ABSENT
            rows.append([*values.values(), name, *cells, ratio])
    return Table(texts(*heads, f"{TRAINING.name} against the baseline"), rows)
