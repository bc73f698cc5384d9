"""The plots of a run's target: who is there at what time, and accuracy against wall time."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.analysis import Analysis
from harness.analysis.target import Reach, to_target
from harness.report.plots.style import LOG_FROM, Plot, log_axis, look, new, plain, plot, short
from harness.report.target import share

PLOTS: list[Plot] = []


@plot(
    PLOTS,
    "target",
    "Share of each engine's trials that have reached the target, by seconds since their start.",
)
def reached_plot(analysis: Analysis) -> Figure | None:
    """A step per trial, up to the share that came there; a ring where censored ones end."""
    found = to_target(analysis)
    known = [reach for reach in found.reaches if reach.courses] if found else []
    if found is None or not known:
        return None
    figure, (axis,) = new(5)
    ends = [course.seconds[-1] for reach in known for course in reach.courses]
    for reach in known:
        colour = look(analysis, reach.engine)["color"]
        times, shares = _steps(reach, max(ends))
        axis.step(times, shares, where="post", color=colour, lw=1.7, label=short(reach.engine))
        last = [course.seconds[-1] for course in reach.courses if not course.reached]
        axis.plot(last, [shares[-1]] * len(last), "o", mfc="none", mec=colour, ms=6)
    axis.set_ylim(-4, 104)
    axis.set_ylabel("% of the trials")
    _time_axis(axis, [t for reach in known for t in reach.times()] + ends)
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, handlelength=2)
    axis.set_title(f"Trials that have reached {share(found.accuracy)}; ring: censored")
    return figure


@plot(
    PLOTS,
    "accuracy-time",
    "Accuracy on the test set after each epoch against seconds since the start of the process.",
)
def course_plot(analysis: Analysis) -> Figure | None:
    """Every trial a line, its epochs points; the target is a line across."""
    found = to_target(analysis)
    known = [reach for reach in found.reaches if reach.courses] if found else []
    if found is None or not known:
        return None
    figure, (axis,) = new(5)
    times: list[float] = []
    for reach in known:
        style = look(analysis, reach.engine)
        for place, course in enumerate(reach.courses):
            shown = [100 * a if a is not None else float("nan") for a in course.accuracies]
            label = short(reach.engine) if not place else None
            axis.plot(course.seconds, shown, **style, ms=3.5, lw=0.8, alpha=0.7, label=label)
            times += course.seconds
    axis.axhline(100 * found.accuracy, color="#7a7a80", lw=1, ls="--")
    axis.set_ylabel("accuracy, % of the\ntest images")
    _time_axis(axis, times)
    axis.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    axis.set_title("Accuracy against wall time, every trial")
    return figure


def _steps(reach: Reach, end: float) -> tuple[list[float], list[float]]:
    """Times and the share, in per cent, that has come there by then."""
    times = sorted(reach.times())
    shares = [100 * (n + 1) / len(reach.courses) for n in range(len(times))]
    last = shares[-1] if shares else 0.0
    return [1e-3, *times, max(end, *times, 0.0)], [0.0, *shares, last]


def _time_axis(axis: Axes, values: list[float]) -> None:
    """Seconds from the start; logarithmic where they lie far apart."""
    low, high = min(values), max(values)
    label = "seconds since the start of the process"
    if high > LOG_FROM * low:
        log_axis(axis, low / 1.6, high * 1.2, plain)
        label = f"{label}, log scale"
    else:
        axis.set_xlim(0, 1.08 * high)
    axis.set_xlabel(label)
    axis.grid(axis="x")
