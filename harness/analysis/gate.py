"""Is the new run slower than the base by more than the margin? An answer for scripts.

Of equal programs one in a hundred at most is called slower by chance: all that is judged at once is
judged by intervals that hold together at LEVEL. What runs at different times differ by themselves
is part of them; where no repeated runs tell, there is no regression, only doubt.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.metrics import RATIO_METRICS, Metric
from harness.analysis.pairs import of_engine, paired, too_many_failures, values
from harness.analysis.two_runs import Change, TwoRuns, accuracy_changes
from harness.errors import UsageError
from harness.stats import AccuracyDifference, Member, family
from harness.stats.describe import Interval
from harness.stats.paired import exponential


class Answer(IntEnum):
    """The outcome of a gate; its value is the exit code of `bench gate`."""

    PASS = 0
    REGRESSION = 1
    INCONCLUSIVE = 4


@dataclass(frozen=True)
class Judgement:
    """The answer on one change, and the sentence that says why."""

    subject: str
    metric: str
    answer: Answer
    sentence: str


LEVEL = 0.02  # two-sided, of all that is judged together


def judge(change: Change, margin: float, count: int = 1) -> Judgement:
    """Judge one change of `count` by its interval.

    regression: even the favourable end of the interval is worse than the margin allows, or the
    new run failed too often. pass: even the unfavourable end is within the margin. Everything
    else, and a change without an interval, is inconclusive.
    """
    key, name = change.metric.key, f"{change.subject}, {change.metric.name}"
    if change.new_failed:
        text = f"{name}: regression, {change.new_failed}"
        return Judgement(change.subject, key, Answer.REGRESSION, text)
    if change.base_failed:
        text = f"{name}: inconclusive, {change.base_failed}"
        return Judgement(change.subject, key, Answer.INCONCLUSIVE, text)
    level = 1 - LEVEL / count
    interval = None if change.error is None else exponential(change.error.interval(level))
    if interval is None or change.ratio.ratio is None:
        text = f"{name}: inconclusive, too few valid trials."
        return Judgement(change.subject, key, Answer.INCONCLUSIVE, text)
    unknown = "" if change.spread else "; how much runs differ by themselves is not known"
    values = f"{change.base_n} and {change.new_n} values{unknown}"
    found = _by_interval(name, change.ratio.ratio, interval, margin, level, values)
    answer, text = found
    if unknown and answer is Answer.REGRESSION:
        text = text.replace("regression", "inconclusive", 1)
        answer = Answer.INCONCLUSIVE
    return Judgement(change.subject, key, answer, text)


def _by_interval(
    name: str, ratio: float, interval: Interval, margin: float, level: float, values: str
) -> tuple[Answer, str]:
    limit = 1 + margin
    answer = _answer(interval[0] > limit, interval[1] <= limit)
    return answer, (
        f"{name}: {answer.name.lower()}, new/base {units.significant(ratio, 4)} "
        f"({100 * level:.4g} % interval "
        f"{units.span(interval, lambda x: units.significant(x, 4))}, "
        f"limit {limit:g}, {values})."
    )


def judge_side_by_side(
    analysis: Analysis, metrics: list[str], margin: float | None
) -> list[Judgement]:
    """The same of a run of `bench ab`, whose two engines were measured in the same blocks.

    Raises: UsageError where the run is none, or of a metric that cannot be judged.
    """
    known = {m.key: m for m in RATIO_METRICS}
    for key in metrics:
        if key not in known:
            raise UsageError(f"--metric {key}: allowed are {', '.join(known)}.")
    name = analysis.run.manifest.run
    if sorted(analysis.engines) != ["new", "old"]:
        raise UsageError(
            f"gate {name}: a run of `bench ab` has the engines old and new, this one has "
            f"{', '.join(analysis.engines)}; give two runs."
        )
    limit = analysis.margins.time_share if margin is None else margin
    trials = [of_engine(analysis.run, engine) for engine in ("new", "old")]
    columns = [values(paired(*trials), known[key]).logs for key in metrics]
    table = [np.append(logs, [math.nan] * (max(map(len, columns)) - len(logs))) for logs in columns]
    found = family(table, level=LEVEL)
    failed = too_many_failures(analysis.run, "new"), too_many_failures(analysis.run, "old")
    return [
        _judged(known[key], member, limit, failed)
        for key, member in zip(metrics, found.members, strict=True)
    ]


def _judged(metric: Metric, member: Member, margin: float, failed: tuple[str, str]) -> Judgement:
    name = f"new/old, {metric.name}"
    if any(failed):
        answer = Answer.REGRESSION if failed[0] else Answer.INCONCLUSIVE
        text = f"{name}: {answer.name.lower()}, {failed[0] or failed[1]}."
    elif member.interval is None or member.mean is None:
        answer, text = Answer.INCONCLUSIVE, f"{name}: inconclusive, too few valid trials."
    else:
        low, high = (math.exp(end) for end in member.interval)
        blocks = units.counted(member.n, "block")
        answer, text = _by_interval(
            name, math.exp(member.mean), (low, high), margin, 1 - LEVEL, blocks
        )
    return Judgement("new/old", metric.key, answer, text)


def _answer(is_worse: bool, is_fine: bool) -> Answer:
    if is_worse:
        return Answer.REGRESSION
    return Answer.PASS if is_fine else Answer.INCONCLUSIVE


def judge_accuracy(engine: str, change: AccuracyDifference, level: float) -> Judgement:
    """The same for accuracy, whose interval has that level: it may fall by the margin in points."""
    name, interval = f"{engine}, accuracy", change.interval
    if interval is None:
        text = f"{name}: inconclusive, too few valid trials."
        return Judgement(engine, "accuracy", Answer.INCONCLUSIVE, text)
    limit = -change.margin_points
    answer = _answer(interval[1] < limit, interval[0] >= limit)
    return Judgement(
        engine,
        "accuracy",
        answer,
        f"{name}: {answer.name.lower()}, new - base {units.points(change.difference_points)} "
        f"({100 * level:.4g} % interval {units.span(interval, units.signed)}, limit {limit:.2f}).",
    )


def select(
    found: TwoRuns, metrics: list[str], engines: list[str] | None, ratio: str | None
) -> list[Judgement]:
    """Judge the metrics that were asked for. Raises: UsageError naming what there is.

    Args:
        metrics: keys of metrics. engines: which of them, all that both runs hold by default.
        ratio: a pair "a/b", whose ratio is judged instead of the engines' own values.
    """
    is_pair = ratio is not None
    chosen = [change for change in found.changes if change.is_pair == is_pair]
    known = list(dict.fromkeys(change.metric.key for change in chosen))
    if not is_pair:
        known.append("accuracy")
    for name in metrics:
        if name not in known:
            raise UsageError(f"--metric {name}: allowed are {', '.join(known)}.")
    subjects = list(dict.fromkeys(change.subject for change in chosen))
    wanted = [ratio] if ratio is not None else engines or subjects
    for name in wanted:
        if name not in subjects:
            option = "--ratio" if is_pair else "--engine"
            raise UsageError(f"{option} {name}: both runs hold {', '.join(subjects) or 'no pair'}.")
    asked = [c for c in chosen if c.subject in wanted and c.metric.key in metrics]
    has_accuracy = "accuracy" in metrics
    count = len(asked) + len(wanted) * has_accuracy
    judged = [judge(change, found.margin, count) for change in asked]
    if has_accuracy:
        level = 1 - LEVEL / count
        accuracies = accuracy_changes(*found.analyses, level)
        judged += [judge_accuracy(name, accuracies[name], level) for name in wanted]
    return judged


def verdict(judged: list[Judgement]) -> Answer:
    """One answer for all: a regression anywhere, else doubt anywhere, else pass."""
    answers = {found.answer for found in judged}
    for answer in (Answer.REGRESSION, Answer.INCONCLUSIVE):
        if answer in answers:
            return answer
    return Answer.PASS
