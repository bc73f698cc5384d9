"""From the records of a run to summaries and comparisons, corrected for their number."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path

import numpy as np

from harness.analysis import machines
from harness.analysis.agreement import Agreement, agreements, mirrored
from harness.analysis.decision import (
    Decided,
    Decision,
    accuracy_pairs,
    decide_over_machines,
    decide_run,
    no_decision,
)
from harness.analysis.metrics import METRICS, RATIO_METRICS, Metric
from harness.analysis.pairs import of_engine, paired, too_many_failures, values
from harness.analysis.seeds import Accuracy, Spread, accuracies, by_epoch, is_asked, last_epoch
from harness.errors import UsageError
from harness.records.manifest import Margins
from harness.records.models import Trial
from harness.records.store import Run, read_run
from harness.stats import (
    AccuracyDifference,
    Across,
    Ratio,
    Summary,
    accuracy_difference,
    paired_ratio,
    summarize,
)
from harness.stats.describe import Interval
from harness.stats.paired import LARGE


@dataclass(frozen=True)
class Comparison:
    """Engine `a` against engine `b` on one metric of time or memory, over their common blocks.

    ratio: this comparison by itself. decided: what the run's decision says of it; None where it
    is exploratory and so has no word. withheld: why the ratio is no result, or "". bound: see
    `Decided`. undisturbed: the same ratio over the blocks without a disturbed trial, None when none
    was disturbed.
    """

    a: str
    b: str
    metric: Metric
    ratio: Ratio
    decided: Decided | None = None
    withheld: str = ""
    bound: str = ""
    undisturbed: Ratio | None = None

    @property
    def verdict(self) -> str | None:
        """One of the four words; None where it is exploratory or a difference of no time."""
        return None if self.decided is None else self.decided.word

    @property
    def n(self) -> int:
        """Blocks that it rests on."""
        return self.ratio.n if self.decided is None else self.decided.member.n

    @property
    def value(self) -> float | None:
        """The ratio a/b: of what is decided over the blocks that count, else over all."""
        if self.decided is None:
            return self.ratio.ratio
        return self.decided.ratio

    @property
    def interval(self) -> Interval | None:
        """Simultaneous for what is decided, else its own."""
        return self.ratio.interval if self.decided is None else self.decided.interval

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval of the log-ratio: 0.01 is about one per cent."""
        ends = self.interval
        return None if ends is None else math.log(ends[1] / ends[0]) / 2

    @property
    def p(self) -> float | None:
        """The family's p of what the word claims; None for what is exploratory."""
        return None if self.decided is None else self.decided.p


@dataclass(frozen=True)
class Analysis:
    """Everything that the report says, as data.

    summaries: engine -> metric key -> that of its valid trials, in the order of the blocks.
    comparisons: (a, b) -> metric key -> comparison, for every ordered pair; (b, a) is the
    inverse of (a, b). accuracies: the same for accuracy, paired over all seeds that both engines
    have, timed or not; agreements: for the predictions of each block. decision: the words, and what
    they rest on. found: every accuracy of the run.

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
    decision: Decision
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
        """What the others are compared with."""
        return self.run.manifest.decides.baseline

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

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that any engine has a value of; all of them where nothing is valid."""
        found = tuple(
            metric
            for metric in METRICS
            if any(self.summary(name, metric.key).n for name in self.engines)
        )
        return found or METRICS


def analyze(folder: Path) -> Analysis:
    """Read the run in `folder` and analyze it. Raises: RecordError."""
    return analyze_run(read_run(folder))


def analyze_run(run: Run, *, is_part: bool = False, t_alone: bool = False) -> Analysis:
    """The analysis of a run that has been read.

    is_part: of what one of several machines measured: no word rests on it alone. t_alone: without
    resampling, see `paired_ratio`.
    """
    engines = [entry.name for entry in run.manifest.engines]
    valid = run.valid()
    trials = {name: [t for t in valid if t.engine == name] for name in engines}
    failures = {
        name: [t for t in run.finished() if t.engine == name and not t.valid] for name in engines
    }
    found = accuracies(run)
    many = len(run.finished()) > LARGE * len(engines)
    parts = {
        name: analyze_run(part, is_part=True, t_alone=many)
        for name, part in machines.apart(run).items()
    }
    across = _across(parts, engines)
    if parts:
        decision = decide_over_machines(run, across)
    else:
        decision = no_decision(run) if is_part else decide_run(run)
    pooled = f"measured on {len(parts)} machines, which are never pooled." if parts else ""
    return Analysis(
        run=run,
        engines=engines,
        summaries={name: _summaries(own, pooled=bool(parts)) for name, own in trials.items()},
        failures=failures,
        comparisons=_compare_all(run, engines, decision, pooled, t_alone=t_alone),
        accuracies=_accuracies(run, found, engines, decision),
        agreements=_agreements(run, engines, trials, parts),
        decision=decision,
        found=found,
        machines=parts,
        across=across,
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
    trials: dict[str, list[Trial]],
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
            table[a, b] = agreements(run, paired(trials[a], trials[b]))
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


def _compare_all(
    run: Run, engines: list[str], decision: Decision, pooled: str, *, t_alone: bool
) -> dict[tuple[str, str], dict[str, Comparison]]:
    """Every ordered pair; the second of a pair is worked out from swapped values."""
    trials = {name: [] if pooled else of_engine(run, name) for name in engines}
    table = {}
    for a, b in permutations(engines, 2):
        told = filter(None, (too_many_failures(run, name) for name in (a, b)))
        withheld = pooled or " ".join(f"{text}, more than 1 in 10." for text in told)
        pairs = paired(trials[a], trials[b])
        table[a, b] = {
            m.key: replace(
                _compare(a, b, m, pairs, t_alone=t_alone),
                withheld=withheld,
                decided=None if pooled else decision.of(a, b, m.key),
            )
            for m in RATIO_METRICS
        }
    return table


def _compare(
    a: str, b: str, metric: Metric, pairs: list[tuple[Trial, Trial]], *, t_alone: bool
) -> Comparison:
    known = values(pairs, metric)
    ratio, undisturbed = paired_ratio(known.a, known.b, t_alone=t_alone), None
    calm = values([(x, y) for x, y in pairs if not (x.disturbed or y.disturbed)], metric)
    if len(calm.blocks) < len(known.blocks):
        undisturbed = paired_ratio(calm.a, calm.b, t_alone=t_alone)
    return Comparison(a, b, metric, ratio, bound=known.bound, undisturbed=undisturbed)


def _accuracies(
    run: Run, found: list[Accuracy], engines: list[str], decision: Decision
) -> dict[tuple[str, str], AccuracyDifference]:
    """Every ordered pair over the seeds; of those decided, interval, p and word of the family."""
    trained = last_epoch(run, found)
    return {
        (a, b): _accuracy(
            accuracy_pairs(trained, a, b),
            decision.of(a, b, "accuracy"),
            run.manifest.margins.accuracy_points,
        )
        for a, b in permutations(engines, 2)
    }


def _accuracy(
    both: list[tuple[Accuracy, Accuracy]], decided: Decided | None, margin: float
) -> AccuracyDifference:
    difference = accuracy_difference(
        [x.value or 0.0 for x, _ in both],
        [y.value or 0.0 for _, y in both],
        images=min((min(x.images, y.images) for x, y in both), default=0),
        margin_points=margin,
    )
    if decided is None:
        return replace(difference, verdict=None)
    return replace(
        difference,
        interval=decided.interval,
        tost_p=decided.p_equivalent,
        verdict=decided.word,
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
