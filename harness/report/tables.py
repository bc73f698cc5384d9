"""Analysis -> the tables that people read. What they show is decided here, how in `render`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness import units
from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.memory import others
from harness.analysis.metrics import BY_KEY, MEMORY, METRICS, Metric
from harness.analysis.order import carry_over_of, drift_of, slots_of
from harness.analysis.published import PROGRAMS, PUBLISHED, RATIO, compared, exact
from harness.analysis.seeds import Spread
from harness.analysis.warnings import MARK
from harness.report.machine_tables import each_machine
from harness.report.table import Table, numbers, texts
from harness.stats import holm

COLUMN_WIDTH = 17  # "0.123 ± 0.004 ms" and a gap
RATIO_WIDTH = 25  # "0.00 points, inconclusive"


def mean_and_sd(analysis: Analysis, engine: str, metric: Metric) -> str:
    """ "1.23 ± 0.04 s", both in the unit of the mean; the mean alone where there is one value."""
    summary = analysis.summary(engine, metric.key)
    text = metric.text(summary.mean)
    is_other = metric.quantity is MEMORY and engine in others(analysis.run)
    mark = f" {MARK}" if is_other else ""
    if summary.mean is None or summary.sd is None:
        return f"{text}{mark}"
    number, unit = text.rsplit(" ", 1)
    per_unit = summary.mean / float(number.replace(",", "")) if summary.mean else 1.0
    decimals = len(number.partition(".")[2])
    return f"{number} ± {summary.sd / per_unit:,.{decimals}f} {unit}{mark}"


def median_text(analysis: Analysis, engine: str, metric: Metric) -> str:
    """The median with its unit."""
    return metric.text(analysis.summary(engine, metric.key).median)


@dataclass(frozen=True)
class Centre:
    """What a table shows of a sample: its heading and the text of a cell."""

    heading: str
    text: Callable[[Analysis, str, Metric], str]


MEAN = Centre("mean ± sd", mean_and_sd)
MEDIAN = Centre("median so far", median_text)


def ratio_text(analysis: Analysis, engine: str, metric: Metric) -> str:
    """The ratio to the baseline and its verdict; for accuracy the difference in points."""
    if metric.quantity.is_share:
        found = analysis.accuracies[engine, analysis.baseline]
        if found.difference_points is None:
            return units.ABSENT
        text = units.points(found.difference_points)
        return f"{text}, {found.verdict}" if found.verdict else text
    cell = analysis.comparisons[engine, analysis.baseline][metric.key]
    if cell.withheld or cell.value is None:
        return "withheld" if cell.withheld else units.ABSENT
    text = bounded(cell)
    return f"{text}, {cell.verdict}" if cell.verdict else text


def bounded(cell: Comparison) -> str:
    """The ratio, with a sign before it where trials were stopped at their time limit."""
    sign = {"at least": "≥ ", "at most": "≤ ", "between": "? "}.get(cell.bound, "")
    return f"{sign}{units.ratio(cell.value)}"


def valid_text(analysis: Analysis, engine: str) -> str:
    """ "9 of 10": valid trials of those planned."""
    valid = sum(t.engine == engine for t in analysis.run.valid())
    return f"{valid} of {analysis.run.blocks}"


def terminal_table(analysis: Analysis, width: int, centre: Centre = MEAN) -> Table:
    """The run for a terminal of that many columns.

    Metrics are rows and engines columns while that fits; in a narrower terminal every metric has
    lines of its own, one per engine.
    """
    needed = 21 + COLUMN_WIDTH * len(analysis.engines) + RATIO_WIDTH * len(analysis.rivals)
    return (wide_table if needed <= width else narrow_table)(analysis, centre.heading, centre)


def wide_table(analysis: Analysis, heading: str = "", centre: Centre = MEAN) -> Table:
    """Metrics down, engines across, then the ratio of each engine to the baseline; of every
    machine where there are several."""
    return each_machine(analysis, partial(_wide_table, heading=heading, centre=centre))


def _wide_table(analysis: Analysis, *, heading: str, centre: Centre) -> Table:
    rows = [
        [
            metric.title,
            *(centre.text(analysis, name, metric) for name in analysis.engines),
            *(ratio_text(analysis, name, metric) for name in analysis.rivals),
        ]
        for metric in analysis.metrics
    ]
    valid = [valid_text(analysis, name) for name in analysis.engines]
    rows.append(["Trials valid", *valid, *("" for _ in analysis.rivals)])
    columns = [
        *texts(heading, whole=True),
        *numbers(*analysis.engines, whole=True),
        *numbers(*(f"{name} / {analysis.baseline}" for name in analysis.rivals)),
    ]
    return Table(columns, rows, named=True)


def narrow_table(analysis: Analysis, heading: str, centre: Centre) -> Table:
    """One line per metric and engine, with the ratio to the baseline."""
    return each_machine(analysis, partial(_narrow_table, heading=heading, centre=centre))


def _narrow_table(analysis: Analysis, *, heading: str, centre: Centre) -> Table:
    rows: list[list[str]] = []
    for metric in analysis.metrics:
        rows.append([metric.title])
        for name in analysis.engines:
            ratio = ratio_text(analysis, name, metric) if name in analysis.rivals else ""
            rows.append([f"  {name}", centre.text(analysis, name, metric), ratio])
    rows.append(["Trials valid"])
    rows += [[f"  {name}", valid_text(analysis, name), ""] for name in analysis.engines]
    return Table([*texts(""), *numbers(heading, "ratio")], rows)


def published_table(heading: str = "published") -> Table:
    """The study's own numbers, named as another machine's."""
    rows = [
        [m.title, *(exact(m, value) for value in PUBLISHED[m.key]), compared(m)]
        for m in METRICS
        if m.key in PUBLISHED
    ]
    return Table([*texts(heading), *numbers(*PROGRAMS, RATIO)], rows, named=True)


def ratio_table(analysis: Analysis) -> Table:
    """One row per engine and metric against the baseline, with everything known about it."""
    return each_machine(analysis, _ratio_table)


def _ratio_table(analysis: Analysis) -> Table:
    columns = [
        *texts("engines", "metric"),
        *numbers("blocks", "ratio"),
        *texts("95 % interval"),
        *numbers("p", "half width", "blocks for ±1 %", f"blocks to find {_effect(analysis)}"),
        *texts("verdict"),
    ]
    rows = [
        _ratio_row(analysis.comparisons[name, analysis.baseline][metric.key])
        for name in analysis.rivals
        for metric in analysis.metrics
        if not metric.quantity.is_share
    ]
    return Table(columns, rows)


def _effect(analysis: Analysis) -> str:
    return f"{units.significant(100 * analysis.decision.rule.effect_share, 2)} %"


def _ratio_row(cell: Comparison) -> list[object]:
    """A ratio that is no result is `withheld`, and nothing that follows from it is shown."""
    needed, to_find = cell.ratio.n_for_one_percent, cell.decided and cell.decided.needed
    half = cell.half_width
    shown = [
        bounded(cell),
        units.span(cell.interval),
        units.probability(cell.p),
        units.ABSENT if half is None else f"±{units.significant(100 * half, 2)} %",
    ]
    if cell.withheld:
        shown = ["withheld", *(units.ABSENT for _ in shown[1:])]
    word = "exploratory" if cell.decided is None else cell.verdict or units.ABSENT
    return [
        f"{cell.a} / {cell.b}",
        cell.metric.title,
        cell.n,
        *shown,
        f"{needed:,}" if needed else units.ABSENT,
        f"{to_find:,}" if to_find else units.ABSENT,
        "inconclusive" if cell.withheld and cell.decided else word,
    ]


def accuracy_table(analysis: Analysis) -> Table:
    """The accuracy of every engine less the baseline's, and how alike they predict."""
    columns = [
        *texts("engines"),
        *numbers("seeds" if analysis.spreads else "blocks", "accuracy difference"),
        *texts("95 % interval"),
        *numbers("margin", "p of equivalence"),
        *texts("verdict"),
        *numbers("equal predictions, at least", "smallest McNemar p"),
    ]
    return Table(columns, [_accuracy_row(analysis, name) for name in analysis.rivals])


def _accuracy_row(analysis: Analysis, name: str) -> list[object]:
    """McNemar's p is the smallest over the blocks, Holm-corrected for their number."""
    found = analysis.accuracies[name, analysis.baseline]
    blocks = analysis.agreements[name, analysis.baseline]
    adjusted = [p for p in holm([block.p for block in blocks]) if p is not None]
    return [
        f"{name} − {analysis.baseline}",
        found.n,
        units.points(found.difference_points),
        units.span(found.interval, units.signed),
        f"{found.margin_points:.2f} points",
        units.probability(found.tost_p),
        found.verdict or "exploratory",
        units.percent(min((block.equal for block in blocks), default=None)),
        units.probability(min(adjusted, default=None)),
    ]


def spread_table(analysis: Analysis) -> Table:
    """Accuracy over the seeds, a row per engine; without rows where no further seed was asked."""
    heads = ("starts", "mean", "standard deviation", "median", "min", "max", "failed")
    rows = [_spread_row(row) for row in analysis.last_spreads]
    return Table([*texts("engine"), *numbers(*heads)], rows, named=True)


def _spread_row(row: Spread) -> list[object]:
    summary = row.summary
    return [
        row.engine,
        summary.n,
        units.percent(summary.mean),
        units.ABSENT if summary.sd is None else f"{100 * summary.sd:.2f} points",
        *map(units.percent, (summary.median, summary.min, summary.max)),
        row.failed,
    ]


def spread_text(row: Spread) -> str:
    """An engine's accuracy over the seeds in a line: mean, deviation, range, failures."""
    summary = row.summary
    starts = units.counted(summary.n, "start")
    failed = f", {row.failed} failed" if row.failed else ""
    if not summary.n:
        return f"{row.engine}, accuracy: no start that was valid{failed}."
    spread = "" if summary.sd is None else f" ± {100 * summary.sd:.2f}"
    return (
        f"{row.engine}, accuracy from {starts}: {units.percent(summary.mean)}{spread}, "
        f"{units.percent(summary.min)} to {units.percent(summary.max)}{failed}."
    )


def carry_over_table(analysis: Analysis) -> Table:
    """What running right behind each engine did to the total time of the next trial."""
    return each_machine(analysis, _carry_over_table)


def _carry_over_table(analysis: Analysis) -> Table:
    found = carry_over_of(analysis)
    columns = [*texts("right behind"), *numbers("total time"), *texts("95 % interval, %")]
    rows = [
        [
            name,
            f"{100 * (effect - 1):+.1f} %",
            units.span(interval, lambda end: units.signed(100 * (end - 1))),
        ]
        for name, (effect, interval) in (found.effects if found else {}).items()
    ]
    return Table(columns, rows, named=True)


def schedule_table(analysis: Analysis) -> Table:
    """Drift, autocorrelation and slot effects of the total time, per engine."""
    return each_machine(analysis, _schedule_table)


def _schedule_table(analysis: Analysis) -> Table:
    columns = [
        *texts("engine", "drift of total time", "95 % interval, %"),
        *numbers("lag-1 autocorrelation"),
        *texts("effect of the slot"),
    ]
    return Table(columns, [_schedule_row(analysis, name) for name in analysis.engines])


def _schedule_row(analysis: Analysis, name: str) -> list[str]:
    metric = BY_KEY["total_wall_s"]
    trend, slots = drift_of(analysis, name, metric), slots_of(analysis, name, metric)
    change, lag = trend.per_block, trend.lag_one
    return [
        name,
        units.ABSENT if change is None else f"{100 * change:+.2f} % per block",
        units.span(trend.interval, lambda end: units.signed(100 * end)),
        units.ABSENT if lag is None else f"{lag:+.2f}",
        ", ".join(f"{slot + 1}: {100 * (effect - 1):+.1f} %" for slot, effect in slots.items()),
    ]
