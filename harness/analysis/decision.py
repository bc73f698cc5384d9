"""What a run decides: the comparisons that its manifest names, all of them together.

Only they get a word, and word, interval and p come from one family (`stats.family`), so that they
cannot disagree. What a report shows beyond them is exploratory. Nothing here is resampled from the
comparisons outside of the family, so that asking for more tables changes no word.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness import units
from harness.analysis.metrics import BY_KEY, Metric
from harness.analysis.pairs import of_engine, paired, too_many_failures, values
from harness.analysis.seeds import Accuracy, accuracies, last_epoch
from harness.records.manifest import Margins, Rule
from harness.records.store import Run
from harness.stats import (
    Across,
    Family,
    Member,
    accuracy_verdict,
    decide,
    family,
    family_of_lines,
    needed_images,
)
from harness.stats.describe import Interval
from harness.stats.paired import exponential

OPPOSITE = {"faster": "slower", "slower": "faster", "at least": "at most", "at most": "at least"}


@dataclass(frozen=True)
class Decided:
    """One comparison of the family: engine `a` against `b`, by one metric.

    Attributes:
        member: on the log scale for times and memory, in points for accuracy.
        word: faster, slower, equivalent, inconclusive; for accuracy equivalent, different,
            inconclusive. None for a clear difference of what is no time (memory).
        p_equivalent: the family's p of "they differ by the margin or more"; None below two blocks.
        bound: "at least", "at most" or "between" where trials were stopped at their time limit.
        why: what keeps it from a conclusion: failures, too few images; "" otherwise.
        effect, needed: the difference that the rule names, as a share, and the blocks with which
            a run would find it.
    """

    a: str
    b: str
    metric: Metric
    member: Member
    word: str | None
    p_equivalent: float | None = None
    bound: str = ""
    why: str = ""
    effect: float = 0.0
    needed: int | None = None

    @property
    def ratio(self) -> float | None:
        """a/b, of times and memory."""
        return None if self.member.mean is None else math.exp(self.member.mean)

    @property
    def interval(self) -> Interval | None:
        """Simultaneous: of the ratio, or in points."""
        ends = self.member.interval
        return ends if self.metric.quantity.is_share else exponential(ends)

    @property
    def p(self) -> float | None:
        """The family's p of what the word claims: of a difference, or of equivalence."""
        return self.p_equivalent if self.word == "equivalent" else self.member.p

    def turned(self) -> "Decided":
        """The same of `b` against `a`."""
        word = OPPOSITE.get(self.word or "", self.word)
        bound = OPPOSITE.get(self.bound, self.bound)
        return replace(
            self, a=self.b, b=self.a, member=self.member.turned(), word=word, bound=bound
        )


@dataclass(frozen=True)
class Decision:
    """All primary comparisons of a run.

    rule: from the manifest; named: it was there before the run (older runs have none). cells: by
    rival and key of the metric. left_out: disturbed blocks that do not count by the rule; spares:
    blocks that ran in their place.
    """

    rule: Rule
    named: bool
    family: Family
    cells: dict[tuple[str, str], Decided]
    left_out: tuple[int, ...] = ()
    spares: int = 0

    def of(self, a: str, b: str, key: str) -> Decided | None:
        """The comparison of two engines in either order; None where it is exploratory."""
        if b == self.rule.baseline:
            return self.cells.get((a, key))
        turned = self.cells.get((b, key)) if a == self.rule.baseline else None
        return None if turned is None else turned.turned()

    @cached_property
    def widest(self) -> float | None:
        """Half of the widest interval of a primary ratio of times, as a share; None without."""
        spans = [
            ends[1] - ends[0]
            for cell in self.cells.values()
            if cell.metric.quantity.is_time and not cell.why and (ends := cell.member.interval)
        ]
        timed = [c for c in self.cells.values() if c.metric.quantity.is_time and not c.why]
        return math.expm1(max(spans) / 2) if spans and len(spans) == len(timed) else None


def decide_run(run: Run, *, blocks: int | None = None) -> Decision:
    """The decision of a run of one machine.

    blocks: as if it had ended after so many. An engine that failed too often stays in the family,
    inconclusive, so that failing buys the others nothing.
    """
    rule, margins = run.manifest.decides, run.manifest.margins
    run = run if blocks is None else _first(run, blocks)
    counted, left_out = counted_blocks(run)
    keys = [(a, BY_KEY[key]) for a in _rivals(run) for key in rule.primary if key in BY_KEY]
    columns = [_column(run, a, rule.baseline, metric, counted) for a, metric in keys]
    found = family(_table(columns), level=rule.level)
    cells = {
        (a, metric.key): _decided(run, a, metric, found, member, column, margins)
        for (a, metric), member, column in zip(keys, found.members, columns, strict=True)
    }
    spares = sum(block >= first_spare(run) for block in counted)
    return Decision(rule, run.manifest.rule is not None, found, cells, left_out, spares)


def decide_over_machines(
    run: Run, lines: dict[tuple[str, str], dict[str, Across | None]]
) -> Decision:
    """The decision of a run of several machines: by the lines over them, and by accuracy, whose
    seeds are no matter of machines. What each machine measured is exploratory."""
    rule, margins = run.manifest.decides, run.manifest.margins
    keys = [(a, BY_KEY[key]) for a in _rivals(run) for key in rule.primary if key in BY_KEY]
    columns, means = [], []
    for a, metric in keys:
        line = lines[a, rule.baseline].get(metric.key)
        if metric.quantity.is_share:
            columns.append(_column(run, a, rule.baseline, metric, frozenset()))
            known = np.array(list(columns[-1].rows.values()))
            error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else 0.0
            means.append((len(known), float(known.mean()) if len(known) else 0.0, error))
        else:
            columns.append(_Column({}))
            means.append((line.machines, line.log_ratio, line.error) if line else (0, 0.0, 0.0))
    found = family_of_lines(means, level=rule.level)
    cells = {
        (a, metric.key): _decided(run, a, metric, found, member, column, margins)
        for (a, metric), member, column in zip(keys, found.members, columns, strict=True)
    }
    return Decision(rule, run.manifest.rule is not None, found, cells)


def no_decision(run: Run) -> Decision:
    """Of a part of a run, which decides nothing alone."""
    return Decision(run.manifest.decides, run.manifest.rule is not None, family([]), {})


def first_spare(run: Run) -> int:
    """The number of the first block that only takes the place of a disturbed one."""
    return run.manifest.repeats - (run.manifest.decides.spare_blocks or 0)


def counted_blocks(run: Run) -> tuple[frozenset[int], tuple[int, ...]]:
    """The blocks that words rest on, and the disturbed ones that do not count.

    Where disturbed blocks are not repeated, all count. Else the undisturbed ones do, unless these
    are fewer than the run was to have: then all count.
    """
    disturbed: dict[int, bool] = {}
    for trial in run.finished():
        disturbed[trial.block] = disturbed.get(trial.block, False) or trial.disturbed
    every, rule = frozenset(disturbed), run.manifest.decides
    calm = frozenset(block for block, was in disturbed.items() if not was)
    if rule.spare_blocks is None or len(calm) < (rule.first_blocks or first_spare(run)):
        return every, ()
    return calm, tuple(sorted(every - calm))


def undisturbed(run: Run) -> Run:
    """The run without the blocks in which the machine was disturbed."""
    bad = {trial.block for trial in run.finished() if trial.disturbed}
    return replace(run, trials=[t for t in run.trials if t.warmup or t.block not in bad])


def _first(run: Run, blocks: int) -> Run:
    return replace(run, trials=[t for t in run.trials if t.warmup or t.block < blocks])


def _rivals(run: Run) -> list[str]:
    baseline = run.manifest.decides.baseline
    return [entry.name for entry in run.manifest.engines if entry.name != baseline]


@dataclass(frozen=True)
class _Column:
    """Block or seed -> log-ratio or difference; bound and images as in Decided."""

    rows: dict[tuple[str, int], float]
    bound: str = ""
    images: int = 0
    accuracy: float = 0.0


def _column(run: Run, a: str, b: str, metric: Metric, counted: frozenset[int]) -> _Column:
    if metric.quantity.is_share:
        return _accuracy_column(run, a, b)
    trials = [[t for t in of_engine(run, name) if t.block in counted] for name in (a, b)]
    found = values(paired(*trials), metric)
    rows = {("block", block): log for block, log in zip(found.blocks, found.logs, strict=True)}
    return _Column(rows, found.bound)


def _accuracy_column(run: Run, a: str, b: str) -> _Column:
    """Paired over the seeds of blocks and of what came after them; a block's row is its own."""
    trained = last_epoch(run, accuracies(run))
    both = accuracy_pairs(trained, a, b)
    of_seed = {seed: block for block, seed in enumerate(run.manifest.seeds)}
    rows = {
        ("block", of_seed[x.seed]) if x.seed in of_seed else ("seed", x.seed): 100
        * ((x.value or 0.0) - (y.value or 0.0))
        for x, y in both
    }
    every = [one.value or 0.0 for pair in both for one in pair]
    images = min((min(x.images, y.images) for x, y in both), default=0)
    return _Column(rows, "", images, sum(every) / len(every) if every else 0.0)


def accuracy_pairs(trained: list[Accuracy], a: str, b: str) -> list[tuple[Accuracy, Accuracy]]:
    """Of each seed from which both engines were trained and tested: whether that was timed
    changes nothing of the weights."""
    of_a, of_b = (
        {x.seed: x for x in trained if x.engine == name and x.value is not None} for name in (a, b)
    )
    return [(of_a[seed], of_b[seed]) for seed in of_a if seed in of_b]


def _table(columns: list[_Column]) -> np.ndarray:
    """(columns, rows): the same block or seed of every column in one row, NaN where it has none."""
    rows = sorted({row for column in columns for row in column.rows})
    table = np.array([[column.rows.get(row, math.nan) for row in rows] for column in columns])
    return table.reshape(len(columns), len(rows))


def _decided(
    run: Run,
    a: str,
    metric: Metric,
    found: Family,
    member: Member,
    column: _Column,
    margins: Margins,
) -> Decided:
    rule = run.manifest.decides
    if metric.quantity.is_share:
        return _decided_accuracy(a, rule.baseline, metric, found, member, column, margins)
    told = filter(None, (too_many_failures(run, name) for name in (a, rule.baseline)))
    why = " ".join(f"{text}, more than 1 in 10." for text in told)
    margin = math.log1p(margins.time_share)
    needed = None
    if member.sd is not None and metric.quantity.is_time:
        needed = found.blocks_for(member.sd, member.n, math.log1p(rule.effect_share))
    word = "inconclusive" if why else _word(member, margins.time_share, metric, column.bound)
    p_equivalent = None if column.bound else found.p_equivalent(member, margin)
    return Decided(
        a,
        rule.baseline,
        metric,
        member,
        word,
        p_equivalent,
        column.bound,
        why,
        rule.effect_share,
        needed,
    )


def _word(member: Member, margin: float, metric: Metric, bound: str) -> str | None:
    """A bound proves one direction alone, and never that two times are alike."""
    word = decide(exponential(member.interval), margin)
    possible = {"at least": "slower", "at most": "faster", "between": ""}.get(bound, word)
    if word != possible:
        return "inconclusive"
    return word if metric.quantity.is_time or word in ("equivalent", "inconclusive") else None


def _decided_accuracy(
    a: str,
    b: str,
    metric: Metric,
    found: Family,
    member: Member,
    column: _Column,
    margins: Margins,
) -> Decided:
    margin, ends = margins.accuracy_points, member.interval
    p_equivalent = found.p_equivalent(member, margin)
    needed = needed_images(column.accuracy, margin)
    if 0 < column.images < needed:
        why = f"{column.images:,} test images are too few for this margin: {needed:,} are needed."
        return Decided(a, b, metric, member, "inconclusive", p_equivalent, why=why)
    return Decided(a, b, metric, member, accuracy_verdict(ends, margin), p_equivalent)


def decided_beforehand(decision: Decision, margins: Margins) -> str:
    """One sentence: what was decided before the run, or that nothing was."""
    rule = decision.rule
    names = [BY_KEY[key].name if key in BY_KEY else key for key in rule.primary]
    what = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    limits = (
        f"{units.significant(100 * margins.time_share, 2)} % of a time and "
        f"{units.significant(margins.accuracy_points, 2)} points of accuracy"
    )
    begun = (
        "Decided before the run"
        if decision.named
        else "This run names no primary metrics in its manifest, so the defaults are taken"
    )
    return (
        f"{begun}: {what} of every engine against {rule.baseline}, "
        f"{units.counted(len(decision.cells), 'comparison')} with "
        f"{100 * (1 - rule.level):g} % intervals that hold together; less than "
        f"{limits} is equivalent{_ending(rule)}; everything else is exploratory and gets no word."
    )


def _ending(rule: Rule) -> str:
    parts = ""
    if rule.until_share is not None:
        near = units.significant(100 * rule.until_share, 2)
        parts += (
            f"; from {units.counted(rule.first_blocks or 0, 'block')} on, blocks are added until "
            f"every primary ratio of times is known to ±{near} %"
        )
    if rule.spare_blocks is not None:
        parts += "; disturbed blocks are kept and shown but do not count"
        if rule.spare_blocks:
            parts += f", and up to {rule.spare_blocks} more run in their place"
    return parts
