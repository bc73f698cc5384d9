"""Analysis of a run of several machines -> tables: each machine's, and the line over them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.machines import label
from harness.analysis.metrics import RATIO_METRICS, Metric
from harness.report.table import Table, numbers, texts
from harness.stats import Across


def each_machine(analysis: Analysis, table: Callable[[Analysis], Table]) -> Table:
    """A table of every machine below each other, each under the machine's name; of a run of one
    machine that one's table as it is."""
    if not analysis.machines:
        return table(analysis)
    tables = {name: table(part) for name, part in analysis.machines.items()}
    rows: list = []
    for name, found in tables.items():
        rows += [[label(name, analysis.run.machines)], *found.rows]
    first = next(iter(tables.values()))
    return replace(first, rows=rows, failed=frozenset())


def across_table(analysis: Analysis) -> Table:
    """One row per engine and metric against the baseline: the random-effects line over machines."""
    columns = [
        *texts("engines", "metric"),
        *numbers("machines", "ratio"),
        *texts("95 % interval", "one more machine"),
        *numbers("p", "I²", "τ", "Q", "p of Q"),
        *texts("verdict"),
    ]
    rows = [
        _row(analysis, name, metric, found)
        for name in analysis.rivals
        for metric in RATIO_METRICS
        for found in _known(analysis, name, metric)
    ]
    return Table(columns, rows)


def _known(analysis: Analysis, name: str, metric: Metric) -> Iterable[Across]:
    found = analysis.across.get((name, analysis.baseline), {}).get(metric.key)
    return [] if found is None else [found]


def _row(analysis: Analysis, name: str, metric: Metric, found: Across) -> list[object]:
    decided = analysis.decision.of(name, analysis.baseline, metric.key)
    return [
        f"{name} / {analysis.baseline}",
        metric.title,
        found.machines,
        units.ratio(found.ratio),
        units.span(found.interval if decided is None else decided.interval),
        units.span(found.prediction),
        units.probability(None if decided is None else decided.p),
        f"{100 * found.i_squared:.0f} %",
        units.significant(found.tau, 2),
        units.significant(found.q),
        units.probability(found.q_p),
        "exploratory" if decided is None else decided.word or units.ABSENT,
    ]
