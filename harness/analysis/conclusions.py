"""The run's conclusions as sentences, one per metric and engine, with interval and verdict."""

from harness import units
from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.metrics import BY_KEY, Metric
from harness.stats import Across, accuracy_word, decide

TWOFOLD = 1.5  # below this a difference reads better as per cent than as "1.07 times"


def conclusions(analysis: Analysis) -> list[str]:
    """One sentence per metric for every engine against the baseline, in the order of tables.

    With more than two engines only the headline metrics are told: a page of sentences is read by
    nobody.
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
        texts += [sentence(cell) for cell in cells.values() if few or cell.metric.headline]
        texts.append(accuracy_sentence(name, analysis.baseline, analysis))
    return texts


def _over_machines(analysis: Analysis) -> list[str]:
    """Of several machines: the lines over them; seconds are told of each by the tables alone."""
    texts = []
    for name in analysis.rivals:
        few = len(analysis.rivals) == 1
        for key, found in analysis.across[name, analysis.baseline].items():
            metric = BY_KEY[key]
            if few or metric.headline:
                texts.append(_across_sentence(analysis, name, metric, found))
        texts.append(accuracy_sentence(name, analysis.baseline, analysis))
    return texts


def _across_sentence(analysis: Analysis, name: str, metric: Metric, found: Across | None) -> str:
    subject = f"{name} against {analysis.baseline}, {metric.name}"
    if found is None:
        return f"{subject}: no machine has two blocks in which both were measured."
    evidence = (
        f"random effects over {units.counted(found.machines, 'machine')}, "
        f"95 % interval {units.span(found.interval)}, I² {100 * found.i_squared:.0f} %"
    )
    verdict = across_verdict(found, metric, analysis.margins.time_share)
    told = f"{verdict}, " if verdict else ""
    return f"{subject}: {told}ratio {units.ratio(found.ratio)} ({evidence})."


def across_verdict(found: Across, metric: Metric, margin: float) -> str | None:
    """One of the four words for the line over machines; None for what differs and is no time."""
    verdict = decide(found.interval, margin)
    return None if verdict in ("faster", "slower") and not metric.quantity.is_time else verdict


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
    ratio = cell.ratio.ratio
    if ratio is None:
        return f"{subject}: no block in which both were measured."
    evidence = _evidence(cell)
    if cell.verdict in ("inconclusive", "equivalent"):
        return f"{subject}: {cell.verdict}, ratio {units.ratio(ratio)} ({evidence})."
    noun = cell.metric.quantity.noun
    than = f"{_speed(ratio)} than" if not noun else f"{_amount(ratio)} {noun} {_than(ratio)}"
    return f"{cell.a} {cell.metric.verb} {than} {cell.b} ({evidence})."


def _evidence(cell: Comparison) -> str:
    """Interval and number of blocks; for large speed ratios the interval of the speed-up."""
    interval, ratio = cell.ratio.interval, cell.ratio.ratio
    blocks = units.counted(cell.ratio.n, "block")
    if interval is None or ratio is None:
        return f"no interval, {blocks}"
    low, high = interval
    if cell.verdict in ("inconclusive", "equivalent"):
        text = units.span(interval)
    elif max(ratio, 1 / ratio) >= TWOFOLD:
        text = units.span((low, high) if ratio > 1 else (1 / high, 1 / low))
    else:
        ends = sorted(abs(end - 1) * 100 for end in interval)
        text = f"{units.span((ends[0], ends[1]))} %"
    return f"95 % interval {text}, {blocks}"


def _speed(ratio: float) -> str:
    word = "slower" if ratio > 1 else "faster"
    factor = max(ratio, 1 / ratio)
    if factor >= TWOFOLD:
        return f"{units.significant(factor)} times {word}"
    change = units.significant(abs(ratio - 1) * 100)
    return f"in {change} % {'more' if ratio > 1 else 'less'} time"


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
    return (
        f"{a} against {b}, accuracy: {accuracy_word(difference)}, difference "
        f"{units.points(difference.difference_points)} ({span}, {pairs}, "
        f"margin {difference.margin_points:.2f} points)."
    )
