"""A sweep's page: a curve per engine over the values of a setting, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from harness import units
from harness.analysis.analysis import Analysis, analyze
from harness.analysis.metrics import BY_KEY, METRICS, Metric
from harness.errors import NothingMeasuredError
from harness.records.store import MANIFEST
from harness.report.page import inline, render
from harness.report.plots.style import LOG_FROM, WIDTH, colour, marker, plain, short, style, write
from harness.report.tables import defused, mean_and_sd, ratio_text
from harness.run.sweep import points, read_axes
from harness.stats import Summary

CURVES = ("train_wall_s", "test_wall_s", "total_wall_s", "peak_rss_bytes", "accuracy")


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep: settings and values, and the analysis of every point that has a run."""

    folder: Path
    axes: dict[str, list[str]]
    found: list[tuple[dict[str, str], Analysis]]

    @property
    def engines(self) -> list[str]:
        """The engines of all runs, in order of first appearance."""
        return list(dict.fromkeys(name for _, a in self.found for name in a.engines))

    @property
    def across(self) -> str:
        """The setting along the x axis: the one with the most values."""
        return max(self.axes, key=lambda key: len(self.axes[key]))

    def panels(self) -> Iterator[tuple[str, list[tuple[str, Analysis]]]]:
        """For every combination of the other settings: its text, and the points along `across`."""
        groups: dict[str, list[tuple[str, Analysis]]] = {}
        for values, analysis in self.found:
            rest = ", ".join(f"{k} = {v}" for k, v in values.items() if k != self.across)
            groups.setdefault(rest, []).append((values[self.across], analysis))
        yield from groups.items()


def read_sweep(folder: Path) -> Sweep:
    """Read every run of the sweep in `folder`. Raises: NothingMeasuredError if none is valid."""
    axes = read_axes(folder)
    found = [
        (point.values, analyze(folder / point.name))
        for point in points(axes)
        if (folder / point.name / MANIFEST).is_file()
    ]
    if not any(analysis.run.valid() for _, analysis in found):
        raise NothingMeasuredError(f"{folder}: no trial is valid, so nothing was measured.")
    return Sweep(folder, axes, found)


def write_sweep_report(sweep: Sweep) -> Path:
    """Write `report/` of the sweep: page, Markdown, figures, `summary.csv`; returns the folder."""
    folder = sweep.folder / "report"
    folder.mkdir(exist_ok=True)
    summary_frame(sweep).map(defused).to_csv(folder / "summary.csv", index=False)
    figures = []
    for number, (rest, panel) in enumerate(sweep.panels(), start=1):
        for key in CURVES:
            name = f"{key}-{number}"
            with style():
                figure = curve(sweep, BY_KEY[key], rest, panel)
                if figure is None:
                    continue
                write(figure, folder, name)
            title = f"{BY_KEY[key].title} over {sweep.across}{f', {rest}' if rest else ''}"
            figures.append({"name": name, "alt": title})
    shown = _context(sweep, figures)
    (folder / "report.md").write_text(render("sweep.md.j2", shown), encoding="utf-8")
    shown["svgs"] = [inline(folder / f"{f['name']}.svg", f["name"], f["alt"]) for f in figures]
    (folder / "index.html").write_text(render("sweep.html.j2", shown), encoding="utf-8")
    return folder


def curve(
    sweep: Sweep, metric: Metric, rest: str, panel: list[tuple[str, Analysis]]
) -> Figure | None:
    """One metric over the swept setting: a line per engine through the means, with intervals."""
    numbers = _numbers([value for value, _ in panel])
    figure, axis = plt.subplots(figsize=(WIDTH, 3.3), layout="constrained")
    drawn: list[float] = []
    for index, name in enumerate(sweep.engines):
        known = [
            (numbers[value], analysis.figures(name, metric.key))
            for value, analysis in panel
            if name in analysis.engines and analysis.figures(name, metric.key).n
        ]
        shift = index - (len(sweep.engines) - 1) / 2
        known = [(_beside(x, shift, numbers), figures) for x, figures in known]
        drawn += _line(axis, metric, index, name, known)
    if not drawn:
        plt.close(figure)
        return None
    _scales(axis, metric, numbers, drawn)
    axis.set_xlabel(sweep.across + (", log scale" if axis.get_xscale() == "log" else ""))
    figure.suptitle(
        f"{metric.title}, mean and 95 % interval{f' ({rest})' if rest else ''}",
        fontsize=10.5,
        x=0.02,
        ha="left",
    )
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


def _scale_of(metric: Metric) -> float:
    return {"time": 1.0, "memory": 1e-6, "accuracy": 100.0}[metric.kind]


def _line(
    axis: Axes, metric: Metric, index: int, name: str, known: list[tuple[float, Summary]]
) -> list[float]:
    scale, xs, ys = _scale_of(metric), [], []
    for x, figures in known:
        mean = scale * (figures.mean or 0.0)
        xs.append(x)
        ys.append(mean)
        if figures.mean_interval is not None:
            low, high = (scale * end for end in figures.mean_interval)
            axis.vlines(x, max(low, 1e-3 * mean), high, color=colour(index), linewidth=1.6)
    if xs:
        axis.plot(
            xs, ys, color=colour(index), marker=marker(index), ms=5, lw=1.3, label=short(name)
        )
    return ys


def _scales(axis: Axes, metric: Metric, numbers: dict[str, float], drawn: list[float]) -> None:
    if _is_log(numbers):
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(list(numbers.values()), [short(text) for text in numbers])
    axis.set_ylabel({"time": "seconds", "memory": "MB", "accuracy": "%"}[metric.kind])
    positive = [y for y in drawn if y > 0]
    if metric.kind != "accuracy" and positive and max(positive) > LOG_FROM * min(positive):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: plain(y)))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_ylabel(f"{axis.get_ylabel()}, log scale")
    elif metric.kind != "accuracy":
        axis.set_ylim(0, 1.15 * max(drawn))
    axis.grid(axis="y")


def _numbers(values: list[str]) -> dict[str, float]:
    """Places along the axis: the values themselves where all are numbers, else 1, 2, 3, ..."""
    try:
        return {value: float(value) for value in values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(values, start=1)}


def summary_frame(sweep: Sweep) -> pd.DataFrame:
    """One row per point, engine and metric, unrounded."""
    rows = []
    for values, analysis in sweep.found:
        for name in analysis.engines:
            for metric in METRICS:
                figures = analysis.figures(name, metric.key)
                low, high = figures.mean_interval or (None, None)
                keys = ("n", "mean", "median", "sd", "min", "max")
                rows.append(
                    {
                        **values,
                        "engine": name,
                        "metric": metric.key,
                        **{key: getattr(figures, key) for key in keys},
                        "mean_low": low,
                        "mean_high": high,
                    }
                )
    return pd.DataFrame(rows)


def _context(sweep: Sweep, figures: list[dict[str, str]]) -> dict[str, Any]:
    rows = []
    for values, analysis in sweep.found:
        for name in analysis.engines:
            ratio = units.ABSENT
            if name in analysis.rivals:
                ratio = ratio_text(analysis, name, BY_KEY["train_wall_s"])
            cells = [mean_and_sd(analysis, name, BY_KEY[key]) for key in CURVES]
            rows.append([*values.values(), name, *cells, ratio])
    heads = [*sweep.axes, "engine", *(BY_KEY[key].title for key in CURVES)]
    return {
        "name": sweep.folder.name,
        "axes": sweep.axes,
        "heads": [*heads, "training time against the baseline"],
        "rows": rows,
        "plots": figures,
        "planned": len(points(sweep.axes)),
        "measured": len(sweep.found),
    }
