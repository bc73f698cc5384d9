"""From the records of a run to summaries and comparisons, corrected for their number."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path

import numpy as np

from harness.analysis import machines
from harness.analysis.agreement import Agreement, agreements, mirrored
from harness.analysis.metrics import METRICS, RATIO_METRICS, Metric
from harness.analysis.seeds import Accuracy, Spread, accuracies, by_epoch, is_asked, last_epoch
from harness.errors import UsageError
from harness.records.models import Margins, Trial
from harness.records.store import Run, read_run
from harness.stats import (
    AccuracyDifference,
    Across,
    Ratio,
    Summary,
    accuracy_difference,
    decide,
    holm,
    paired_ratio,
    summarize,
)
from harness.stats.paired import LARGE

MOST_FAILURES = 0.1  # with a larger share of failed trials a ratio is no result


@dataclass(frozen=True)
class Comparison:
    """Engine `a` against engine `b` on one metric of time or memory, over their common blocks.

    verdict: one of the four words for times; for memory only "equivalent", "inconclusive" or None
    (a clear difference that is no matter of speed). withheld: why the ratio is no result, or "".
    p_holm: p corrected for all comparisons of the report. undisturbed: the same ratio over the
    blocks without a disturbed trial, None when none was disturbed.
    """

    a: str
    b: str
    metric: Metric
    ratio: Ratio
    verdict: str | None
    withheld: str = ""
    p_holm: float | None = None
    undisturbed: Ratio | None = None


@dataclass(frozen=True)
class Analysis:
    """Everything that the report says, as data.

    summaries: engine -> metric key -> that of its valid trials, in the order of the blocks.
    comparisons: (a, b) -> metric key -> comparison, for every ordered pair; (b, a) is the
    inverse of (a, b). accuracies: the same for accuracy, paired over all seeds that both engines
    have, timed or not; agreements: for the predictions of each block. made: how many comparisons
    the correction counts (each unordered pair and metric once). found: every accuracy of the run.

    Of a run of several machines, machines: fingerprint -> the analysis of what that one measured;
    across: (a, b) -> metric key -> the line over them. The run's own summaries then hold nothing
    but accuracies, and its ratios are withheld.
    """

    run: Run
    engines: list[str]
    summaries: dict[str, dict[str, Summary]]
    failures: dict[str, list[Trial]]
    comparisons: dict[tuple[str, str], dict[str, Comparison]]
    accuracies: dict[tuple[str, str], AccuracyDifference]
    agreements: dict[tuple[str, str], list[Agreement]]
    made: int
    found: list[Accuracy]
    machines: dict[str, "Analysis"] = field(default_factory=dict)
    across: dict[tuple[str, str], dict[str, Across | None]] = field(default_factory=dict)

    @property
    def margins(self) -> Margins:
        """The margins fixed in the manifest."""
        return self.run.manifest.margins

    @cached_property
    def valid_blocks(self) -> int:
        """Blocks in which every engine's trial is valid."""
        valid = {(t.block, t.engine) for t in self.run.valid()}
        blocks = {p.block for p in self.run.manifest.schedule if not p.warmup}
        return sum(all((block, name) in valid for name in self.engines) for block in blocks)

    @property
    def baseline(self) -> str:
        """What the others are compared with in sentences: tensorflow, else the last engine."""
        return "tensorflow" if "tensorflow" in self.engines else self.engines[-1]

    @property
    def rivals(self) -> list[str]:
        """The engines other than the baseline, in the run's order."""
        return [name for name in self.engines if name != self.baseline]

    @cached_property
    def spreads(self) -> list[Spread]:
        """Accuracy over the seeds by engine and epoch; empty where the run was not asked for it."""
        return by_epoch(self.found) if is_asked(self.run) else []

    @property
    def last_spreads(self) -> list[Spread]:
        """The same after the last epoch alone, a row per engine."""
        return [row for row in self.spreads if row.epoch == self.run.manifest.epochs]

    def summary(self, engine: str, key: str) -> Summary:
        """One engine's sample of one metric."""
        return self.summaries[engine][key]


def analyze(folder: Path) -> Analysis:
    """Read the run in `folder` and analyze it. Raises: RecordError."""
    return analyze_run(read_run(folder))


def analyze_run(run: Run, *, t_alone: bool = False) -> Analysis:
    """The analysis of a run that has been read. t_alone: without resampling, see `paired_ratio`."""
    engines = [entry.name for entry in run.manifest.engines]
    valid = run.valid()
    of_engine = {name: [t for t in valid if t.engine == name] for name in engines}
    failures = {
        name: [t for t in run.finished() if t.engine == name and not t.valid] for name in engines
    }
    found = accuracies(run)
    trained = last_epoch(run, found)
    many = len(run.finished()) > LARGE * len(engines)
    parts = {name: analyze_run(part, t_alone=many) for name, part in machines.apart(run).items()}
    pooled = f"measured on {len(parts)} machines, which are never pooled." if parts else ""
    compared = {} if parts else of_engine
    comparisons, made = _corrected(_compare_all(run, engines, compared, pooled, t_alone=t_alone))
    return Analysis(
        run=run,
        engines=engines,
        summaries={
            name: _summaries(trials, pooled=bool(parts)) for name, trials in of_engine.items()
        },
        failures=failures,
        comparisons=comparisons,
        accuracies={
            (a, b): _accuracy(trained, a, b, run.manifest.margins)
            for a, b in permutations(engines, 2)
        },
        agreements=_agreements(run, engines, of_engine, parts),
        made=made + sum(part.made for part in parts.values()),
        found=found,
        machines=parts,
        across=_across(parts, engines),
    )


def one_machine(analysis: Analysis, what: str) -> Analysis:
    """The analysis of a run of one machine. Raises: UsageError for one of several."""
    if analysis.machines:
        names = ", ".join(analysis.machines)
        raise UsageError(
            f"{what} {analysis.run.manifest.run}: it was measured on {len(analysis.machines)} "
            f"machines ({names}), whose seconds are never pooled; `bench report` tells of each."
        )
    return analysis


def _agreements(
    run: Run,
    engines: list[str],
    of_engine: dict[str, list[Trial]],
    parts: dict[str, Analysis],
) -> dict[tuple[str, str], list[Agreement]]:
    """Both orders of every pair; the files of predictions are read once."""
    table: dict[tuple[str, str], list[Agreement]] = {}
    for a, b in permutations(engines, 2):
        if (b, a) in table:
            table[a, b] = [mirrored(found) for found in table[b, a]]
        elif parts:
            own = [found for part in parts.values() for found in part.agreements[a, b]]
            table[a, b] = sorted(own, key=lambda found: found.block)
        else:
            table[a, b] = agreements(run, paired(of_engine[a], of_engine[b]))
    return table


def _across(
    parts: dict[str, Analysis], engines: list[str]
) -> dict[tuple[str, str], dict[str, Across | None]]:
    """Both orders of every pair of engines; nothing where one machine has measured."""
    table: dict[tuple[str, str], dict[str, Across | None]] = {}
    for a, b in permutations(engines, 2) if parts else ():
        pairs = {
            name: paired(*([t for t in part.run.valid() if t.engine == e] for e in (a, b)))
            for name, part in parts.items()
        }
        table[a, b] = {m.key: machines.across(pairs, m) for m in RATIO_METRICS}
    return table


def _summaries(trials: list[Trial], *, pooled: bool) -> dict[str, Summary]:
    """pooled: the trials are of several machines: of their times there is no summary."""
    ordered = sorted(trials, key=lambda t: t.block)
    kept = {m.key: ordered if m.quantity.is_share or not pooled else [] for m in METRICS}
    return {m.key: summarize(_values(kept[m.key], m)) for m in METRICS}


def _values(trials: list[Trial], metric: Metric) -> list[float]:
    return [value for value in map(metric.read, trials) if value is not None]


def paired(a: list[Trial], b: list[Trial]) -> list[tuple[Trial, Trial]]:
    """The trials of two engines that share a block, in the order of the blocks."""
    of_b = {t.block: t for t in b}
    return sorted(
        ((t, of_b[t.block]) for t in a if t.block in of_b), key=lambda pair: pair[0].block
    )


def known_values(
    pairs: list[tuple[Trial, Trial]], metric: Metric
) -> tuple[list[float], list[float]]:
    """The values of the pairs that have a ratio: neither is absent or zero."""
    both = [(metric.read(x), metric.read(y)) for x, y in pairs]
    known = [(x, y) for x, y in both if x and y]
    return [x for x, _ in known], [y for _, y in known]


def speed_verdict(ratio: Ratio, metric: Metric, margin: float, withheld: str) -> str | None:
    """One of the four words; None for a clear difference in what is no time: less memory is not
    speed. A ratio that is withheld is inconclusive."""
    verdict = "inconclusive" if withheld else decide(ratio.interval, margin)
    is_speed = verdict in ("faster", "slower")
    return None if is_speed and not metric.quantity.is_time else verdict


def _compare_all(
    run: Run,
    engines: list[str],
    of_engine: dict[str, list[Trial]],
    pooled: str,
    *,
    t_alone: bool,
) -> dict[tuple[str, str], dict[str, Comparison]]:
    """Every ordered pair; the second of a pair is worked out from swapped values."""
    margin = run.manifest.margins.time_share
    table = {}
    for a, b in permutations(engines, 2):
        pairs = paired(of_engine.get(a, []), of_engine.get(b, []))
        told = filter(None, (too_many_failures(run, name) for name in (a, b)))
        withheld = pooled or " ".join(f"{text}, more than 1 in 10." for text in told)
        table[a, b] = {
            m.key: _compare(a, b, m, pairs, margin=margin, withheld=withheld, t_alone=t_alone)
            for m in RATIO_METRICS
        }
    return table


def too_many_failures(run: Run, engine: str) -> str:
    """ "2 of 10 trials of myad failed" where that is more than 1 in 10, else ""."""
    finished = [t for t in run.finished() if t.engine == engine]
    failed = sum(not t.valid for t in finished)
    few = failed <= MOST_FAILURES * len(finished)
    return "" if few else f"{failed} of {len(finished)} trials of {engine} failed"


def _compare(
    a: str,
    b: str,
    metric: Metric,
    pairs: list[tuple[Trial, Trial]],
    *,
    margin: float,
    withheld: str,
    t_alone: bool,
) -> Comparison:
    calm = [(x, y) for x, y in pairs if not (x.disturbed or y.disturbed)]
    ratio = paired_ratio(*known_values(pairs, metric), t_alone=t_alone)
    verdict = speed_verdict(ratio, metric, margin, withheld)
    undisturbed = None
    if len(calm) < len(pairs):
        undisturbed = paired_ratio(*known_values(calm, metric), t_alone=t_alone)
    return Comparison(a, b, metric, ratio, verdict, withheld, undisturbed=undisturbed)


def _corrected(
    table: dict[tuple[str, str], dict[str, Comparison]],
) -> tuple[dict[tuple[str, str], dict[str, Comparison]], int]:
    """Holm's correction over every unordered pair and metric; both orders get the same p."""
    keys = [(a, b, key) for (a, b), row in table.items() for key in row if a < b]
    tested = [table[a, b][key].ratio.p for a, b, key in keys]
    adjusted = dict(zip(keys, holm(tested), strict=True))
    corrected = {
        (a, b): {
            key: replace(cell, p_holm=adjusted[min(a, b), max(a, b), key])
            for key, cell in row.items()
        }
        for (a, b), row in table.items()
    }
    return corrected, sum(p is not None for p in tested)


def _accuracy(trained: list[Accuracy], a: str, b: str, margins: Margins) -> AccuracyDifference:
    """Paired over the seeds: whether a seed's training was timed changes nothing of its weights."""
    of_a, of_b = ({x.seed: x for x in trained if x.engine == name} for name in (a, b))
    both = [(of_a[seed], of_b[seed]) for seed in of_a if seed in of_b]
    known = [
        (x.value, y.value, min(x.images, y.images))
        for x, y in both
        if x.value is not None and y.value is not None
    ]
    return accuracy_difference(
        [x for x, _, _ in known],
        [y for _, y, _ in known],
        images=min((count for _, _, count in known), default=0),
        margin_points=margins.accuracy_points,
    )


def phase_means(analysis: Analysis, engine: str, process: str) -> dict[str, float]:
    """Mean seconds of each phase of an engine's `train` or `test` process, in order of time.

    The last, "start-up and exit", is what the process took beyond the phases it reported.
    """
    results = [getattr(t, process) for t in analysis.run.valid() if t.engine == engine]
    results = [r for r in results if r is not None]
    names = list(dict.fromkeys(name for r in results for name in r.phases))
    means = {name: float(np.mean([r.phases.get(name, 0.0) for r in results])) for name in names}
    rest = [r.start_up_and_exit_s for r in results if r.start_up_and_exit_s is not None]
    if rest:
        means["start-up and exit"] = float(np.mean(rest))
    return means
