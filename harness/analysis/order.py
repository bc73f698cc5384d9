"""What the order of trials does to their times: drift, slots, and what ran before; per analysis."""

from harness.analysis.analysis import Analysis
from harness.analysis.metrics import Metric
from harness.stats import CarryOver, Drift, carry_over, drift, slot_effect


def drift_of(analysis: Analysis, engine: str, metric: Metric) -> Drift:
    """Trend of one engine's metric over the blocks."""
    known = [
        (t.block, value)
        for t in sorted(analysis.run.valid(), key=lambda t: t.block)
        if t.engine == engine and (value := metric.read(t))
    ]
    return drift([block for block, _ in known], [value for _, value in known])


def carry_over_of(analysis: Analysis) -> CarryOver | None:
    """What running right behind each engine does to the total time of the next trial."""
    rows = []
    ordered = [p.id for p in analysis.run.manifest.schedule if not p.warmup]
    before = dict(zip(ordered[1:], ordered, strict=False))
    engine = {p.id: p.engine for p in analysis.run.manifest.schedule}
    for trial in analysis.run.valid():
        value = trial.total_wall_s
        if value and trial.id in before:
            rows.append((trial.block, trial.engine, engine[before[trial.id]], value))
    blocks, engines, behind, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return carry_over(blocks, engines, behind, values)


def slots_of(analysis: Analysis, engine: str, metric: Metric) -> dict[int, float]:
    """Effect of the place inside the block on one engine's metric, as a ratio to its mean."""
    return slot_effect(*by_slot(analysis, engine, metric))


def by_slot(analysis: Analysis, engine: str, metric: Metric) -> tuple[list[int], list[float]]:
    """The slots of one engine's trials, from 0, and the metric in each."""
    known = [
        (t.slot, value)
        for t in analysis.run.valid()
        if t.engine == engine and (value := metric.read(t))
    ]
    return [slot for slot, _ in known], [value for _, value in known]
