"""Analysis -> tables: for the terminal (rich), and as pandas frames for CSV and Parquet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.metrics import METRICS, Metric, peak_bytes
from harness.analysis.published import PUBLISHED, RATIO, compared, exact
from harness.analysis.seeds import Spread
from harness.analysis.warnings import outcome
from harness.records.models import ProcessResult, Trial
from harness.stats import accuracy_word

FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMN_WIDTH = 17  # "0.123 ± 0.004 ms" and a gap
RATIO_WIDTH = 25  # "0.00 points, inconclusive"


def terminal_tables(
    analysis: Analysis, width: int, centre: "Centre | None" = None
) -> Iterable[Table]:
    """The run's tables for a terminal of that many columns.

    Metrics are rows and engines columns while that fits; in a narrower terminal every metric has
    lines of its own, one per engine. centre: what is shown of a sample, mean ± sd by default.
    """
    centre = centre or MEAN
    needed = 16 + COLUMN_WIDTH * len(analysis.engines) + RATIO_WIDTH * len(analysis.rivals)
    yield wide_table(analysis, centre) if needed <= width else narrow_table(analysis, centre)


def wide_table(analysis: Analysis, centre: "Centre") -> Table:
    """Metrics down, engines across, then the ratio of each engine to the baseline."""
    table = Table(box=None, pad_edge=False, title=None)
    table.add_column(centre.heading, no_wrap=True)
    for name in analysis.engines:
        table.add_column(escape(name), justify="right", no_wrap=True)
    for name in analysis.rivals:
        heading = f"{escape(name)} / {escape(analysis.baseline)}"
        table.add_column(heading, justify="right", overflow="fold")
    for metric in METRICS:
        cells = [centre.text(analysis, name, metric) for name in analysis.engines]
        cells += [ratio_text(analysis, name, metric) for name in analysis.rivals]
        table.add_row(metric.title, *cells)
    table.add_row("Trials valid", *(valid_text(analysis, name) for name in analysis.engines))
    return table


def narrow_table(analysis: Analysis, centre: "Centre") -> Table:
    """One line per metric and engine, with the ratio to the baseline."""
    table = Table(box=None, pad_edge=False, show_header=True)
    table.add_column("", overflow="fold")
    table.add_column(centre.heading, justify="right", overflow="fold")
    table.add_column("ratio", justify="right", overflow="fold")
    for metric in METRICS:
        table.add_row(f"[bold]{metric.title}[/bold]", "", "")
        for name in analysis.engines:
            ratio = ratio_text(analysis, name, metric) if name in analysis.rivals else ""
            table.add_row(f"  {escape(name)}", centre.text(analysis, name, metric), ratio)
    table.add_row("[bold]Trials valid[/bold]", "", "")
    for name in analysis.engines:
        table.add_row(f"  {escape(name)}", valid_text(analysis, name), "")
    return table


def mean_and_sd(analysis: Analysis, engine: str, metric: Metric) -> str:
    """ "1.23 ± 0.04 s", both in the unit of the mean; the mean alone where there is one value."""
    figures = analysis.figures(engine, metric.key)
    if figures.mean is None or figures.sd is None:
        return metric.text(figures.mean)
    text = metric.text(figures.mean)
    number, unit = text.rsplit(" ", 1)
    per_unit = figures.mean / float(number.replace(",", "")) if figures.mean else 1.0
    decimals = len(number.partition(".")[2])
    return f"{number} ± {figures.sd / per_unit:,.{decimals}f} {unit}"


def median_text(analysis: Analysis, engine: str, metric: Metric) -> str:
    """The median with its unit."""
    return metric.text(analysis.figures(engine, metric.key).median)


@dataclass(frozen=True)
class Centre:
    """What a table shows of a sample: its heading and the text of a cell."""

    heading: str
    text: Callable[[Analysis, str, Metric], str]


MEAN = Centre("mean ± sd", mean_and_sd)
MEDIAN = Centre("median so far", median_text)


def ratio_text(analysis: Analysis, engine: str, metric: Metric) -> str:
    """The ratio to the baseline and its verdict; for accuracy the difference in points."""
    if metric.kind == "accuracy":
        found = analysis.accuracies[engine, analysis.baseline]
        if found.difference_points is None:
            return units.ABSENT
        return f"{units.points(found.difference_points)}, {accuracy_word(found)}"
    cell = analysis.comparisons[engine, analysis.baseline][metric.key]
    if cell.withheld or cell.ratio.ratio is None:
        return "withheld" if cell.withheld else units.ABSENT
    text = units.ratio(cell.ratio.ratio)
    return f"{text}, {cell.verdict}" if cell.verdict else text


def valid_text(analysis: Analysis, engine: str) -> str:
    """ "9 of 10": valid trials of those planned."""
    valid = sum(t.engine == engine for t in analysis.run.valid())
    return f"{valid} of {analysis.run.manifest.repeats}"


def published_table() -> Table:
    """The study's own figures, named as another machine's."""
    table = Table(box=None, pad_edge=False)
    table.add_column("published, another machine", overflow="fold")
    for name in next(iter(PUBLISHED.values())).values:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column(RATIO, justify="right", overflow="fold")
    for metric in METRICS:
        if metric.key in PUBLISHED:
            values = PUBLISHED[metric.key].values.values()
            cells = [exact(metric, value) for value in values]
            table.add_row(metric.title, *cells, compared(metric))
    return table


def show(analysis: Analysis, console: Console) -> None:
    """Print the run's tables."""
    for table in terminal_tables(analysis, console.width):
        console.print(table)


def summary_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per engine and metric, unrounded: n, mean, median, sd, min, max, intervals."""
    rows = []
    for name in analysis.engines:
        for metric in METRICS:
            figures = analysis.figures(name, metric.key)
            mean, median = (
                i or (None, None) for i in (figures.mean_interval, figures.median_interval)
            )
            rows.append(
                {
                    "engine": name,
                    "metric": metric.key,
                    **{k: getattr(figures, k) for k in ("n", "mean", "median", "sd", "min", "max")},
                    "mean_low": mean[0],
                    "mean_high": mean[1],
                    "median_low": median[0],
                    "median_high": median[1],
                    "failed": len(analysis.failures[name]),
                }
            )
    return pd.DataFrame(rows)


def accuracy_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per engine, seed and epoch: the accuracy, whether its training was timed, or why
    there is none; unrounded."""
    return pd.DataFrame(
        [
            {
                "engine": one.engine,
                "seed": one.seed,
                "epoch": one.epoch,
                "accuracy": one.value,
                "timed": one.timed,
                "failure": one.failure,
            }
            for one in analysis.found
        ]
    )


def spread_text(row: Spread) -> str:
    """An engine's accuracy over the seeds in a line: mean, deviation, range, failures."""
    figures = row.figures
    starts = units.counted(figures.n, "start")
    failed = f", {row.failed} failed" if row.failed else ""
    if not figures.n:
        return f"{row.engine}, accuracy: no start that was valid{failed}."
    spread = "" if figures.sd is None else f" ± {100 * figures.sd:.2f}"
    return (
        f"{row.engine}, accuracy from {starts}: {units.percent(figures.mean)}{spread}, "
        f"{units.percent(figures.min)} to {units.percent(figures.max)}{failed}."
    )


def trial_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per trial that has a record, valid or not, warm-ups marked; unrounded."""
    return pd.DataFrame([_trial_row(t) for t in analysis.run.trials], columns=_trial_columns())


def _trial_row(trial: Trial) -> dict[str, object]:
    row: dict[str, object] = {
        "trial": trial.id,
        "block": trial.block,
        "slot": trial.slot,
        "engine": trial.engine,
        "seed": trial.seed,
        "warmup": trial.warmup,
        "state": trial.state,
        "outcome": outcome(trial),
        "valid": trial.valid,
        "disturbed": trial.disturbed,
        "failure": trial.failure,
        **{metric.key: metric.read(trial) for metric in METRICS},
    }
    for process in ("train", "test"):
        row |= {f"{process}_{k}": v for k, v in _process_row(getattr(trial, process)).items()}
    return row


def _process_row(process: ProcessResult | None) -> dict[str, object]:
    figures = process.phases if process is not None else {}
    return {
        "user_s": process.user_s if process else None,
        "system_s": process.system_s if process else None,
        "peak_bytes": peak_bytes(process),
        "import_s": figures.get("import"),
        "load_s": figures.get("load"),
        "build_s": figures.get("build"),
        "compile_s": figures.get("compile"),
        "save_s": figures.get("save"),
        "involuntary_switches": process.involuntary_switches if process else None,
    }


def _trial_columns() -> list[str]:
    empty = Trial(id="0-x", block=0, slot=0, engine="x", seed=0, state="started", at="")
    return list(_trial_row(empty))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV, with texts that a spreadsheet would run as a formula defused."""
    frame.map(defused).to_csv(path, index=False, lineterminator="\n")


def defused(cell: object) -> object:
    """A text that begins like a formula gets an apostrophe in front, as spreadsheets expect."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
