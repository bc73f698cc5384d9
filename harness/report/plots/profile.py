"""The plots of a profile: where each engine's step goes, and how near its classes are to a roof."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness import units
from harness.contract import ops
from harness.profile.compare import Row, cell, rows, seconds
from harness.profile.model import Profile
from harness.report.plots.style import (
    INK,
    PUBLISHED_INK,
    WIDTH,
    Plot,
    colour,
    heading,
    log_axis,
    marker,
    new,
    plain,
    plot,
    short,
    write_values,
)

PLOTS: list[Plot] = []
GREY = {ops.DISPATCH: "#9a9aa2", ops.UNATTRIBUTED: "#d3d3d8"}
HATCH = {ops.FORWARD: "", ops.INPUT_GRADIENT: "////", ops.KERNEL_GRADIENT: "...."}
SMALL = 0.004  # of the longest bar: narrower pieces have no edge, which would be all of them


@plot(
    PLOTS,
    "profile-classes",
    "A bar per engine, as long as one training step under its profiler and divided into classes of "
    "operations; hatched: the input gradients, dotted: the kernel gradients. The text right of a "
    "bar is the time of the step without the profiler.",
)
def bars(profile: Profile) -> Figure | None:
    """Stacked bars, one per engine, from zero."""
    if not profile.measured:
        return None
    names, found = profile.measured, rows(profile)
    legend = -(-len(found) // 2)
    figure, (axis,) = new(len(names) + 0.75 * legend + 0.5)
    longest = max(e.profiled_s for e in names) / profile.steps
    for row in found:
        left = [sum(seconds(e, r) for r in found[: found.index(row)]) for e in names]
        lengths = [seconds(engine, row) / profile.steps * 1e3 for engine in names]
        axis.barh(
            range(len(names)),
            lengths,
            left=[1e3 * value / profile.steps for value in left],
            label=row.title,
            height=0.62,
            linewidth=0.4 if max(lengths) > 1e3 * SMALL * longest else 0,
            edgecolor=INK,
            **_look(row),
        )
    axis.set_yticks(range(len(names)), [short(engine.engine) for engine in names])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlim(0, 1.02e3 * longest)
    axis.xaxis.set_major_locator(plt.MaxNLocator(5))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: plain(x)))
    axis.set_xlabel("milliseconds of one step")
    axis.grid(axis="x")
    write_values(axis, [units.seconds(engine.plain / profile.steps) for engine in names])
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=8,
        handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip
    heading(figure, "One training step by class of operations")
    return figure


@plot(
    PLOTS,
    "profile-roofline",
    "A point per class of operations and engine: operations per byte that the shapes ask for "
    "against GFLOP/s, both logarithmic, under bandwidth and peak as measured in the same call. "
    "Points above the slope work on data that a cache holds.",
)
def roofline(profile: Profile) -> Figure | None:
    """Arithmetic intensity against speed. Source: Williams, Waterman & Patterson 2009."""
    points = [
        (place, row.kind, found.intensity, found.flop_per_s / 1e9)
        for place, engine in enumerate(profile.measured)
        for row in rows(profile)
        if (found := cell(profile, engine, row)).flop_per_s and found.intensity
    ]
    if not points:
        return None
    kinds = list(dict.fromkeys(kind for _, kind, *_ in points))
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    intensities = [intensity for *_, intensity, _ in points]
    low, high = min(intensities) / 2, max(*intensities, _ridge(profile)) * 2
    _roof(axis, profile, low, high)
    for place, kind, intensity, speed in points:
        axis.plot(
            intensity, speed, marker(place), ms=5.5, mew=0.6, mec=INK, color=_kind_colour(kind),
            alpha=0.9,
        )  # fmt: skip
    log_axis(axis, low, high, plain)
    axis.set_yscale("log")
    axis.set_ylim(min(speed for *_, speed in points) / 2, 2.5 * profile.peak.flop_per_s / 1e9)
    axis.yaxis.set_major_locator(LogLocator(numticks=8))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: plain(y)))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("FLOP per byte, log scale")
    axis.set_ylabel("GFLOP/s, log scale")
    axis.grid()
    _legend(figure, axis, profile, kinds)
    heading(figure, "Classes of operations under the roof of this machine")
    return figure


def _roof(axis: Any, profile: Profile, low: float, high: float) -> None:
    x = np.geomspace(low, high, 50)
    x = np.sort(np.append(x, _ridge(profile)))
    y = np.minimum(profile.peak.flop_per_s, profile.peak.bytes_per_s * x) / 1e9
    axis.plot(x, y, color=PUBLISHED_INK, linewidth=1.4, zorder=1)


def _ridge(profile: Profile) -> float:
    """FLOP per byte from which on arithmetic is the limit, not memory."""
    return profile.peak.flop_per_s / profile.peak.bytes_per_s


def _legend(figure: Figure, axis: Any, profile: Profile, kinds: list[str]) -> None:
    engines = [
        plt.Line2D([], [], ls="", marker=marker(n), color="none", mec=INK, label=short(e.engine))
        for n, e in enumerate(profile.measured)
    ]
    classes = [
        plt.Line2D([], [], ls="", marker="s", color=_kind_colour(kind), label=kind)
        for kind in kinds
    ]
    figure.legend(
        handles=[*engines, *classes], loc="outside lower left", ncols=2, fontsize=8,
        handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip


def _look(row: Row) -> dict[str, Any]:
    return {"color": _kind_colour(row.kind), "hatch": HATCH.get(row.part or "", "")}


def _kind_colour(kind: str) -> Any:
    return GREY.get(kind) or colour(ops.CLASSES.index(kind))
