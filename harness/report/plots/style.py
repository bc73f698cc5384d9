"""What all plots of a report share: their look, their axes, how they are saved.

Every plot is saved as PNG and SVG, without a date and with fixed ids, so that the same records
give the same bytes. Engines keep one colour and one marker through all plots; both are
distinguishable for colour-blind readers, and the markers in grey.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from harness import units
from harness.analysis.analysis import Analysis
from harness.profile.model import Profile

INK = "#1b1b1f"  # every text and axis: the page replaces it by the colour of its own text
PUBLISHED_INK = "#7a7a80"
WIDTH = 4.6  # inches: drawn this narrow, ten-point text is still read on a phone
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LOG_FROM = 8.0  # values further apart than this factor go on a log axis
MANY = 2000  # more points than this are drawn as pixels inside the SVG
LONGEST_NAME = 22
STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",  # the page's own background shows through
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "figure.constrained_layout.w_pad": 0.08,  # inches: glyphs of SVG and PNG differ a little
    "figure.dpi": 72,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9.5,
    "grid.alpha": 0.35,
    "grid.color": "#8a8a90",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "svg.hashsalt": "bench",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in an engine's name is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}

Draw = Callable[[Any], Figure | None]


@dataclass(frozen=True)
class Plot:
    """A plot of the report: name of its files, and a description for those who cannot see it.
    `draw` gets the analysis, or the profile, and returns None where there is nothing to draw."""

    name: str
    alt: str
    draw: Draw


def plot(plots: list[Plot], name: str, alt: str) -> Callable[[Draw], Draw]:
    """Enters the function below it into a list of plots."""

    def enter(draw: Draw) -> Draw:
        plots.append(Plot(name, alt, draw))
        return draw

    return enter


@contextmanager
def style() -> Iterator[None]:
    """The look of all plots, for the duration of a `with`."""
    with sns.axes_style("ticks"), plt.rc_context(STYLE):
        yield


def save(plot: Plot, analysis: Analysis | Profile, folder: Path) -> bool:
    """Draw one plot into `<name>.svg` and `<name>.png`; False where there is nothing to draw."""
    with style():
        figure = plot.draw(analysis)
        if figure is None:
            return False
        write(figure, folder, plot.name)
    return True


def write(figure: Figure, folder: Path, name: str) -> None:
    """Save a figure as `<name>.svg` and `<name>.png`, and close it. Call it inside `style`."""
    figure.patch.set_gid("background")
    for _ in range(2):  # the layout settles in two passes, and is then kept for both files
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    plt.close(figure)


def new(rows: float, *, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure as high as that many rows of text need, with panels below each other."""
    figure, axes = plt.subplots(
        panels,
        1,
        figsize=(WIDTH, 0.9 * panels + 0.36 * rows),
        squeeze=False,
        layout="constrained",
    )
    return figure, [axis for row in axes for axis in row]


def look(analysis: Analysis, engine: str) -> dict[str, Any]:
    """An engine's colour and marker, by its place in the run."""
    place = analysis.engines.index(engine)
    return {"color": colour(place), "marker": marker(place)}


def colour(index: int) -> tuple[float, float, float]:
    """The colour of the engine at that place; they repeat after ten."""
    return sns.color_palette("colorblind", 10)[index % 10]


def marker(index: int) -> str:
    """The marker of the engine at that place."""
    return MARKERS[index % len(MARKERS)]


def short(name: str) -> str:
    """An engine's name, cut where it would take the room of the plot."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def offsets(count: int, reach: float = 0.24) -> list[float]:
    """Vertical places of the repeats inside an engine's row: in order of blocks, no randomness.

    Neighbouring blocks go to far places (steps of the golden ratio), so that equal values show.
    """
    return [reach * (2 * ((k * 0.618_033_988_75) % 1) - 1) for k in range(count)]


def heading(figure: Figure, text: str) -> None:
    """A heading above all panels, at the left edge of the drawing."""
    figure.suptitle(text, fontsize=10.5, x=0.02, ha="left")


def write_values(axis: Axes, texts: list[str]) -> None:
    """A text per row, right of the plot, so that nobody has to guess numbers from an axis."""
    for place, text in enumerate(texts):
        axis.annotate(
            text,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )


def value_axis(axis: Axes, values: list[float], label: str, form: Callable[[float], str]) -> None:
    """The x axis of a quantity: from zero, or logarithmic where values lie far apart."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) > LOG_FROM * min(positive):
        log_axis(axis, min(positive) / 1.6, max(positive) * 1.6, form)
        label = f"{label}, log scale"
    else:
        axis.set_xlim(0, 1.12 * max(positive, default=1.0))
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: form(x)))
    axis.set_xlabel(label)
    axis.grid(axis="x")


def log_axis(axis: Axes, low: float, high: float, form: Callable[[float], str]) -> None:
    """A logarithmic x axis with few, plainly written ticks."""
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    decades = high / low
    steps: tuple[float, ...] = (1.0,) if decades > 300 else (1.0, 3.0)
    if decades < 12:
        steps = (1.0, 2.0, 5.0)
    axis.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: form(x)))


def plain(value: float) -> str:
    """A tick's number: as short as it can be."""
    return units.significant(value, 2).rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"
