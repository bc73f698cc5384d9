"""The run's conclusions as sentences, one per metric and engine, with interval and verdict.

Words are of what the run decides alone; what is exploratory is told by its number, and called so.
"""

from harness import units
from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.decision import Decided
from harness.analysis.metrics import BY_KEY, Metric
from harness.stats import Across

TWOFOLD = 1.5  # below this a difference reads better as per cent than as "1.07 times"


def conclusions(analysis: Analysis) -> list[str]:
    """One sentence per metric for every engine against the baseline, in the order of tables.

    With more than two engines only what is decided and the headline metrics are told: a page of
    sentences is read by nobody.
    """
    if not analysis.run.valid():
        return ["No trial is valid, so nothing was measured."]
    if not analysis.rivals:
        parts = analysis.machines or {"": analysis}
        return [alone(part, analysis.baseline) for part in parts.values()]
    if analysis.machines:
        return _over_machines(analysis)
    texts = []
    for name in analysis.rivals:
        cells = analysis.comparisons[name, analysis.baseline]
        few = len(analysis.rivals) == 1
        texts += [
            sentence(cell)
            for cell in cells.values()
            if cell.metric in analysis.metrics  # some engine has it
            and (few or cell.decided is not None or cell.metric.headline)
        ]
        texts.append(accuracy_sentence(name, analysis.baseline, analysis))
    return texts


def _over_machines(analysis: Analysis) -> list[str]:
    """Of several machines: the lines over them; seconds are told of each by the tables alone."""
    texts = []
    for name in analysis.rivals:
        few = len(analysis.rivals) == 1
        for key, found in analysis.across[name, analysis.baseline].items():
            metric = BY_KEY[key]
            decided = analysis.decision.of(name, analysis.baseline, key)
            if few or decided is not None or metric.headline:
                texts.append(_across_sentence(analysis, name, metric, found, decided))
        texts.append(accuracy_sentence(name, analysis.baseline, analysis))
    return texts


def _across_sentence(
    analysis: Analysis, name: str, metric: Metric, found: Across | None, decided: Decided | None
) -> str:
    subject = f"{name} against {analysis.baseline}, {metric.name}"
    if found is None:
        return f"{subject}: no machine has two blocks in which both were measured."
    interval = found.interval if decided is None else decided.interval
    evidence = (
        f"random effects over {units.counted(found.machines, 'machine')}, "
        f"95 % interval {units.span(interval)}, I² {100 * found.i_squared:.0f} %"
    )
    told = _told(decided.word if decided else None, is_decided=decided is not None)
    return f"{subject}: {told}ratio {units.ratio(found.ratio)} ({evidence})."


def _told(word: str | None, *, is_decided: bool) -> str:
    """The word before a number, or that there is none."""
    return f"{word}, " if word else "" if is_decided else "exploratory, "


def alone(analysis: Analysis, engine: str) -> str:
    """The sentence of a run with one engine, where there is nothing to compare."""
    training, testing, accuracy = (
        metric.text(analysis.summary(engine, metric.key).mean)
        for metric in map(BY_KEY.__getitem__, ("train_wall_s", "test_wall_s", "accuracy"))
    )
    blocks = units.counted(analysis.summary(engine, "train_wall_s").n, "block")
    return (
        f"{engine}, means of {blocks}: training took {training}, testing took {testing}, "
        f"accuracy {accuracy}."
    )


def sentence(cell: Comparison) -> str:
    """A comparison in words: "myad trains 412 times faster than tensorflow (95 % interval ...)"."""
    subject = f"{cell.a} against {cell.b}, {cell.metric.name}"
    if cell.withheld:
        return f"{subject}: no ratio, {cell.withheld}"
    ratio = cell.value
    if ratio is None:
        return f"{subject}: no block in which both were measured."
    bound, evidence = f"{cell.bound} " if cell.bound else "", _evidence(cell)
    own = ", by the engines' own clocks" if cell.metric.own_clock else ""
    if cell.decided is None or cell.verdict in ("inconclusive", "equivalent"):
        told = _told(cell.verdict, is_decided=cell.decided is not None)
        return f"{subject}: {told}ratio {bound}{units.ratio(ratio)}{own} ({evidence})."
    noun = cell.metric.quantity.noun
    least = "at least " if cell.bound else ""
    than = f"{_speed(ratio, least)} than" if not noun else f"{_amount(ratio)} {noun} {_than(ratio)}"
    return f"{cell.a} {cell.metric.verb} {than} {cell.b}{own} ({evidence})."


def _evidence(cell: Comparison) -> str:
    """Interval and number of blocks, and the blocks that would do; for large speed ratios the
    interval of the speed-up."""
    interval, ratio = cell.interval, cell.value
    blocks = units.counted(cell.n, "block")
    if cell.verdict == "inconclusive" and cell.decided is not None and cell.decided.needed:
        blocks += (
            f"; a difference of {_share(cell.decided.effect)} needs about {cell.decided.needed:,}"
        )
    if interval is None or ratio is None:
        return f"no interval, {blocks}"
    low, high = interval
    if cell.decided is None or cell.verdict in ("inconclusive", "equivalent"):
        text = units.span(interval)
    elif max(ratio, 1 / ratio) >= TWOFOLD:
        text = units.span((low, high) if ratio > 1 else (1 / high, 1 / low))
    else:
        ends = sorted(abs(end - 1) * 100 for end in interval)
        text = f"{units.span((ends[0], ends[1]))} %"
    return f"95 % interval {text}, {blocks}"


def _share(share: float) -> str:
    return f"{units.significant(100 * share, 2)} %"


def _speed(ratio: float, least: str) -> str:
    word = "slower" if ratio > 1 else "faster"
    factor = max(ratio, 1 / ratio)
    if factor >= TWOFOLD:
        return f"{least}{units.significant(factor)} times {word}"
    change = units.significant(abs(ratio - 1) * 100)
    return f"in {least}{change} % {'more' if ratio > 1 else 'less'} time"


def _amount(ratio: float) -> str:
    factor = max(ratio, 1 / ratio)
    if factor >= TWOFOLD:
        return f"{units.significant(factor)} times {'the' if ratio > 1 else 'less'}"
    return f"{units.significant(abs(ratio - 1) * 100)} % {'more' if ratio > 1 else 'less'}"


def _than(ratio: float) -> str:
    return "of" if ratio >= TWOFOLD else "than"


def accuracy_sentence(a: str, b: str, analysis: Analysis) -> str:
    """The difference in accuracy in words, with the verdict on equivalence."""
    difference = analysis.accuracies[a, b]
    if difference.difference_points is None:
        return f"{a} against {b}, accuracy: no block in which both were measured."
    pairs = units.counted(difference.n, "seed" if analysis.spreads else "block")
    span = "no interval"
    if difference.interval is not None:
        low, high = difference.interval
        span = f"95 % interval {units.signed(low)} to {units.signed(high)}"
    few = ""
    if difference.verdict == "inconclusive" and difference.needed_images:
        few = f"; the test set is too small for it, {difference.needed_images:,} images are needed"
    told = _told(difference.verdict, is_decided=difference.verdict is not None)
    return (
        f"{a} against {b}, accuracy: {told}difference "
        f"{units.points(difference.difference_points)} ({span}, {pairs}, "
        f"margin {units.points(difference.margin_points).lstrip('+')}{few})."
    )
