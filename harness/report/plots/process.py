"""The plots of how a run went: phases, memory over time, loss by epoch, drift."""

import io

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness import contract, units
from harness.analysis.analysis import Analysis, phase_means
from harness.analysis.metrics import BY_KEY
from harness.records.models import Trial
from harness.report.plots.style import (
    INK,
    MANY,
    Plot,
    heading,
    look,
    new,
    plot,
    short,
    write_values,
)
from harness.safe import files

PHASES = (*contract.PHASES, "start-up and exit")
HATCHES = ("", "//", "..", "xx", "", "", "\\\\", "--")
MOST_PANELS = 8  # engines beyond this many are left out of the memory plot
TIMELINE = "memory.csv"
TIMELINE_CAP = 1 << 24  # bytes; the sampler writes 2,000 rows at most
LARGEST = 1e15  # seconds or bytes in a timeline that can be drawn
PLOTS: list[Plot] = []


@plot(
    PLOTS, "phases", "Share of import, load, build, compile, train or test, save in each process."
)
def phase_plot(analysis: Analysis) -> Figure | None:
    """Share of each phase in the train and the test process of every engine, stacked."""
    rows = [
        (name, process, means)
        for name in analysis.engines
        for process in ("train", "test")
        if (means := phase_means(analysis, name, process)) and sum(means.values()) > 0
    ]
    if not rows:
        return None
    figure, (axis,) = new(len(rows) + 2)
    palette = dict(zip(PHASES, sns.color_palette("colorblind", len(PHASES)), strict=True))
    names = [p for p in PHASES if any(p in means for _, _, means in rows)]
    names += sorted({p for _, _, means in rows for p in means} - set(names))
    left = np.zeros(len(rows))
    for name in names:
        shares = np.array([100 * m.get(name, 0.0) / sum(m.values()) for _, _, m in rows])
        axis.barh(
            range(len(rows)),
            shares,
            left=left,
            height=0.62,
            color=palette.get(name, "#b0b0b0"),
            hatch=HATCHES[PHASES.index(name)] if name in PHASES else "",
            edgecolor="#ffffff",
            linewidth=0.6,
            label=name,
        )
        left += shares
    axis.set_yticks(range(len(rows)), [f"{short(name)}, {process}" for name, process, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.set_xlim(0, 100)
    axis.set_xlabel("share of the process's wall time, %")
    write_values(axis, [units.seconds(sum(means.values())) for _, _, means in rows])
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, handlelength=1.4)
    axis.set_title("Phases of each process, means")
    return figure


@plot(PLOTS, "memory", "Memory of each engine's training over time.")
def memory_plot(analysis: Analysis) -> Figure | None:
    """Sampled memory of the train process of each engine's first valid trial, with its peak."""
    found = []
    for name in analysis.engines[:MOST_PANELS]:
        trials = [t for t in analysis.run.valid() if t.engine == name]
        timeline = next(
            (tl for t in trials[:1] if (tl := read_timeline(analysis, t)) is not None), None
        )
        if timeline is not None:
            found.append((name, trials[0], timeline))
    if not found:
        return None
    figure, axes = new(1.2 * len(found) + 1, panels=len(found))
    for axis, (name, trial, timeline) in zip(axes, found, strict=True):
        _memory_panel(axis, analysis, name, trial, timeline)
    axes[-1].set_xlabel("seconds since the start of the process")
    figure.supylabel("memory, MB", fontsize=9.5, color=INK)
    heading(figure, f"Memory of training, block {found[0][1].block + 1}")
    return figure


def _memory_panel(
    axis: Axes, analysis: Analysis, name: str, trial: Trial, timeline: pd.DataFrame
) -> None:
    colour = look(analysis, name)["color"]
    megabytes = timeline["rss_bytes"] / 1e6
    axis.fill_between(timeline["t_s"], megabytes, color=colour, alpha=0.25, linewidth=0)
    axis.plot(timeline["t_s"], megabytes, color=colour, linewidth=1.2)
    top = float(megabytes.max())
    peak = trial.train.peak_rss if trial.train is not None else None
    text = short(name)
    if peak is not None:
        axis.axhline(peak.bytes / 1e6, color=INK, linewidth=0.9, linestyle="--")
        text += f", peak {units.size(peak.bytes)} ({peak.bound})"
        top = max(top, peak.bytes / 1e6)
    axis.set_title(text, fontsize=8.5)
    axis.set_ylim(0, 1.12 * top)
    axis.set_xlim(0, max(float(timeline["t_s"].max()), 1e-3))
    axis.yaxis.set_major_locator(MaxNLocator(3))
    axis.grid(axis="y")


def read_timeline(analysis: Analysis, trial: Trial) -> pd.DataFrame | None:
    """The sampled memory of a trial's train process: `t_s`, `rss_bytes`; None without any."""
    path = analysis.run.trial_folder(trial, "train") / TIMELINE
    try:
        table = pd.read_csv(io.BytesIO(files.read(path, TIMELINE_CAP)))
        numbers = table[["t_s", "rss_bytes"]].apply(pd.to_numeric, errors="coerce")
    except (OSError, ValueError, KeyError):
        return None  # not there, or damaged: the figures of the record do not come from it
    known = numbers[numbers.abs().lt(LARGEST).all(axis=1)]
    return known if len(known) else None


@plot(PLOTS, "loss", "Training loss by epoch and engine.")
def loss_plot(analysis: Analysis) -> Figure | None:
    """Mean training loss by epoch: a line per engine, every block a point."""
    rows = [
        {"engine": t.engine, "block": t.block, "epoch": e.epoch, "loss": e.loss}
        for t in analysis.run.valid()
        if t.train is not None
        for e in t.train.epochs
        if e.loss is not None
    ]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    figure, (axis,) = new(5.5)
    present = [name for name in analysis.engines if name in set(table["engine"])]
    for place, name in enumerate(present):
        # beside each other, since engines that do the same work have the same loss
        shift = 0.05 * (place - (len(present) - 1) / 2)
        mine = table[table["engine"] == name]
        means = mine.groupby("epoch")["loss"].mean()
        ours = look(analysis, name)
        sns.scatterplot(
            x=mine["epoch"] + shift,
            y=mine["loss"],
            **ours,
            s=14,
            alpha=0.4,
            linewidth=0,
            rasterized=len(mine) > MANY,
            legend=False,
            ax=axis,
        )
        axis.plot(means.index + shift, means, **ours, ms=5, label=short(name))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = table["epoch"].min(), table["epoch"].max()
    axis.set_xlim(low - 0.5, high + 0.5)
    axis.set_xlabel("epoch")
    axis.set_ylabel("training loss, nats")
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    axis.set_title("Loss by epoch")
    return figure


@plot(
    PLOTS,
    "drift",
    "Total time of each trial against its engine's median, in schedule order.",
)
def drift_plot(analysis: Analysis) -> Figure | None:
    """Total time of each trial over its engine's median, in the order of the schedule."""
    metric = BY_KEY["total_wall_s"]
    place = {planned.id: k for k, planned in enumerate(analysis.run.manifest.schedule, start=1)}
    figure = None
    for name in analysis.engines:
        median = analysis.summary(name, metric.key).median
        points = [
            (place[t.id], 100 * (value / median - 1))
            for t in analysis.run.valid()
            if t.engine == name and median and (value := metric.read(t)) is not None
        ]
        if not points:
            continue
        if figure is None:
            figure, (axis,) = new(5.5)
        axis.plot(
            *zip(*points, strict=True),
            **look(analysis, name),
            markersize=4.5,
            linewidth=0.9,
            rasterized=len(points) > MANY,
            label=short(name),
        )
    if figure is None:
        return None
    axis.axhline(0.0, color=INK, linewidth=0.8)
    axis.set_xlabel("place in the schedule")
    axis.set_ylabel("total time against the\nengine's median, %")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    axis.set_title("Drift over the schedule")
    return figure
