"""Is the new run slower than the base by more than the margin? An answer for scripts."""

from dataclasses import dataclass
from enum import IntEnum

from harness import units
from harness.analysis.two_runs import Change, TwoRuns
from harness.errors import UsageError
from harness.stats import AccuracyDifference


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


def judge(change: Change, margin: float) -> Judgement:
    """Judge one change by its interval.

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
    interval, ratio = change.ratio.interval, change.ratio.ratio
    limit = 1 + margin
    if interval is None or ratio is None:
        text = f"{name}: inconclusive, too few valid trials."
        return Judgement(change.subject, key, Answer.INCONCLUSIVE, text)
    answer = _answer(interval[0] > limit, interval[1] <= limit)
    word = answer.name.lower()
    return Judgement(
        change.subject,
        key,
        answer,
        f"{name}: {word}, new/base {units.significant(ratio, 4)} "
        f"(95 % interval {units.span(interval, lambda x: units.significant(x, 4))}, "
        f"limit {limit:g}, {change.base_n} and {change.new_n} values).",
    )


def _answer(is_worse: bool, is_fine: bool) -> Answer:
    if is_worse:
        return Answer.REGRESSION
    return Answer.PASS if is_fine else Answer.INCONCLUSIVE


def judge_accuracy(engine: str, change: AccuracyDifference) -> Judgement:
    """The same for accuracy: it may fall by the margin in points, not by more."""
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
        f"(95 % interval {units.span(interval, units.signed)}, limit {limit:.2f}).",
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
    judged = [
        judge(change, found.margin)
        for change in chosen
        if change.subject in wanted and change.metric.key in metrics
    ]
    if "accuracy" in metrics:
        judged += [judge_accuracy(name, found.accuracies[name]) for name in wanted]
    return judged


def verdict(judged: list[Judgement]) -> Answer:
    """One answer for all: a regression anywhere, else doubt anywhere, else pass."""
    answers = {found.answer for found in judged}
    for answer in (Answer.REGRESSION, Answer.INCONCLUSIVE):
        if answer in answers:
            return answer
    return Answer.PASS
