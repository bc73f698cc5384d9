"""What people and programs read of a run's target: sentences, a table, raw values."""

from harness import units
from harness.analysis.target import Course, Reach, ToTarget
from harness.report.table import Table, numbers, texts

WIDE = 84  # columns of a terminal that the whole table takes


def target_table(found: ToTarget) -> Table:
    """One row per engine: how many trials came there, when, and against the baseline."""
    columns = [
        *texts("engine"),
        *numbers("reached", "median time", "fastest", "slowest", "median epochs"),
        *numbers(f"ratio to {found.baseline}"),
    ]
    return Table(columns, [_row(found, reach) for reach in found.reaches], named=True)


def narrow_table(found: ToTarget) -> Table:
    """The same for a narrow terminal: who came there, and when."""
    columns = [*texts("engine", whole=True), *numbers("reached", "time", "epochs", whole=True)]
    whole = target_table(found)
    rows = [[row[0], row[1], row[2], row[5]] for row in whole.rows]
    return Table(columns, rows, named=True)


def target_note(found: ToTarget) -> str:
    """What was counted, and how."""
    return (
        f"Seconds from the start of the training process to the first weights that classify "
        f"{share(found.accuracy)} of the test images: start-up, imports, reading, compiling and "
        "all epochs so far. The harness read each epoch's weights as they appeared and then its "
        "own clock; it tested them after the run, by the engine's own test process. "
        f"A trial that did not come there in {units.counted(found.max_epochs, 'epoch')} is "
        "censored: it counts as slower than every other, and no ratio is made of it. "
        "Ratios are exploratory."
    )


def target_sentences(found: ToTarget) -> list[str]:
    """One for each engine."""
    return [_sentence(found, reach) for reach in found.reaches]


def target_values(found: ToTarget) -> Table:
    """One row per trial and epoch: seconds and accuracy, and whether it was the first there."""
    heads = ("engine", "block", "seed", "epoch", "seconds", "accuracy", "reached")
    rows = [
        [course.engine, course.block, course.seed, epoch, seconds, accuracy, at == course.place]
        for reach in found.reaches
        for course in reach.courses
        for at, (epoch, seconds, accuracy) in enumerate(_checkpoints(course))
    ]
    return Table(texts(*heads), rows)


def share(accuracy: float) -> str:
    """The target as people say it: "99 %"."""
    return f"{100 * accuracy:.4g} %"


def _checkpoints(course: Course) -> list[tuple[int, float, float | None]]:
    return list(zip(course.epochs, course.seconds, course.accuracies, strict=True))


def _row(found: ToTarget, reach: Reach) -> list[object]:
    times = reach.times()
    all_there = reach.reached == len(reach.courses)
    slowest = units.seconds(max(times)) if times and all_there else units.ABSENT
    return [
        reach.engine,
        f"{reach.reached} of {len(reach.courses)}",
        _median_text(found, reach),
        units.seconds(min(times)) if times else units.ABSENT,
        slowest if all_there else "not reached",
        _epochs_text(found, reach),
        _ratio_text(found, reach),
    ]


def _median_text(found: ToTarget, reach: Reach) -> str:
    if not reach.courses:
        return units.ABSENT
    median = reach.median_s()
    last = min(course.seconds[-1] for course in reach.courses)
    return units.seconds(median) if median is not None else f"> {units.seconds(last)}"


def _epochs_text(found: ToTarget, reach: Reach) -> str:
    if not reach.courses:
        return units.ABSENT
    median = reach.median_epochs()
    return f"{median:g}" if median is not None else f"> {found.max_epochs}"


def _ratio_text(found: ToTarget, reach: Reach) -> str:
    if reach.engine == found.baseline:
        return ""
    ratio = found.ratios[reach.engine]
    if ratio is None or ratio.ratio is None:
        return "censored" if reach.courses else units.ABSENT
    return f"{units.ratio(ratio.ratio)} ({units.span(ratio.interval)})"


def _sentence(found: ToTarget, reach: Reach) -> str:
    to = f"{reach.engine}, time to {share(found.accuracy)}"
    if not reach.courses:
        return f"{to}: no trial whose course is known."
    of = f"reached in {reach.reached} of {units.counted(len(reach.courses), 'trial')}"
    if reach.median_s() is None:
        return f"{to}: {of}, the median later than epoch {found.max_epochs}."
    median = reach.median_epochs()
    epochs = f"{median:g} epoch{'' if median == 1 else 's'}"
    times = reach.times()
    ends = f"{units.seconds(min(times))} to {units.seconds(max(times))}"
    return f"{to}: {of}, median {units.seconds(reach.median_s())} and {epochs} ({ends})."
