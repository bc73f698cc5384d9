"""The rule by which a run decides and ends: made from options before it, asked between its blocks.

A run of a fixed number of blocks needs none of what is below `over`. One that is to know its ratios
to ±w is looked at after its first blocks and then after every design of the schedule. It ends at
the second look in succession at which half of the widest simultaneous interval of a primary ratio
of times is within ±w, or with the last block. Widths alone end it, never what the ratios are. An
end at the first such look would come where the spread happens to be understated, and intervals
would miss the truth more often than they say; the blocks between both looks were chosen by nothing.
Sources: Y. S. Chow, H. Robbins 1965, Annals of Mathematical Statistics 36, 457-462 (fixed width);
G. Simons 1968, ibid. 39, 1946-1952 (some observations beyond the stop restore the coverage).
"""

import math
from collections.abc import Sequence

from harness import units
from harness.analysis.metrics import BY_KEY
from harness.errors import UsageError
from harness.records.manifest import PRIMARY, Margins, Rule, default_baseline
from harness.records.store import Run
from harness.run.options import RunOptions
from harness.run.schedule import williams

QUIET_S = 60.0  # the longest wait for a quiet machine before a trial
MOST_FOLD = 5  # of the first blocks, where no most was given
FEWEST = 5  # first blocks of a run that ends by its rule: fewer know nothing of their spread


def rule_of(options: RunOptions, engines: Sequence[str]) -> Rule:
    """The rule that options ask for. Raises: UsageError naming what there is."""
    unknown = [key for key in options.primary if key not in BY_KEY]
    if unknown:
        raise UsageError(f"--primary {unknown[0]}: allowed are {', '.join(BY_KEY)}.")
    if options.baseline is not None and options.baseline not in engines:
        raise UsageError(f"--baseline {options.baseline}: the run has {', '.join(engines)}.")
    until = options.until_share
    if until is not None and (options.repeats < FEWEST or len(engines) < 2):
        raise UsageError(
            f"--until needs at least two engines and --repeats {FEWEST}, its first blocks."
        )
    if until is None and options.most_repeats is not None:
        raise UsageError(
            "--max-repeats is of a run with --until; --repeats says how many otherwise."
        )
    if options.most_repeats is not None and options.most_repeats < options.repeats:
        raise UsageError(
            f"--max-repeats {options.most_repeats}: below --repeats {options.repeats}."
        )
    if options.spares is not None and (until is not None or not options.quiet):
        raise UsageError("--spares is of a run with --quiet and without --until.")
    return Rule(
        primary=list(options.primary or PRIMARY),
        baseline=options.baseline or default_baseline(engines),
        first_blocks=None if until is None else options.repeats,
        step_blocks=len(engines) * len(williams(len(engines))) if until is not None else 1,
        until_share=until,
        spare_blocks=_spares(options) if options.quiet else None,
        settle_s=options.settle_s,
        quiet_s=QUIET_S if options.quiet else 0.0,
    )


def _spares(options: RunOptions) -> int:
    """Blocks that may be repeated: half as many as planned; a run that adds blocks needs none."""
    if options.until_share is not None:
        return 0
    return math.ceil(options.repeats / 2) if options.spares is None else options.spares


def most_blocks(options: RunOptions) -> int:
    """Blocks of the schedule, those included that may never run."""
    if options.until_share is not None:
        return options.most_repeats or MOST_FOLD * options.repeats
    return options.repeats + (_spares(options) if options.quiet else 0)


def margins_of(options: RunOptions) -> Margins:
    """The margins that options ask for."""
    given = {"time_share": options.margin, "accuracy_points": options.accuracy_margin}
    return Margins(**{key: value for key, value in given.items() if value is not None})


def over(run: Run, blocks: int) -> str:
    """Why the run ends, asked when it has so many blocks; "" where it goes on or has no rule."""
    rule = run.manifest.rule
    if rule is None or run.ended is not None:
        return ""
    if rule.until_share is not None and rule.first_blocks is not None:
        return _narrow(run, rule, blocks)
    if rule.spare_blocks is not None:
        return _calm(run, rule, blocks)
    return ""


def _narrow(run: Run, rule: Rule, blocks: int) -> str:
    assert rule.until_share is not None
    assert rule.first_blocks is not None
    most, since = run.manifest.repeats, blocks - rule.first_blocks
    is_second_look = since >= rule.step_blocks and since % rule.step_blocks == 0
    if blocks < most and not is_second_look:
        return ""
    now, asked = width(run, blocks), f"±{_percent(rule.until_share)}"
    last = "nothing" if now is None else f"±{_percent(now)}"
    if is_second_look and _within(now, rule):
        before = width(run, blocks - rule.step_blocks)
        if _within(before, rule):
            return (
                f"every primary ratio of times is known to {asked}, at two looks in succession, "
                f"the last after {units.counted(blocks, 'block')}; the widest is {last}"
            )
    if blocks < most:
        return ""
    return (
        f"all {units.counted(most, 'block')} that it may have are done; the widest primary ratio "
        f"is known to {last}, {asked} was asked for"
    )


def _within(width: float | None, rule: Rule) -> bool:
    return width is not None and rule.until_share is not None and width <= rule.until_share


def width(run: Run, blocks: int) -> float | None:
    """Half of the widest interval of a primary ratio of times after so many blocks, as a share."""
    from harness.analysis.decision import decide_run  # SciPy: a run without this rule has no need

    return decide_run(run, blocks=blocks).widest


def _calm(run: Run, rule: Rule, blocks: int) -> str:
    """Spare blocks run while fewer blocks than planned were undisturbed."""
    planned = run.manifest.repeats - (rule.spare_blocks or 0)
    if blocks < planned:
        return ""
    disturbed = {trial.block for trial in run.finished() if trial.disturbed}
    calm = blocks - len({block for block in disturbed if block < blocks})
    spares = blocks - planned
    if calm >= planned:
        return (
            f"{units.counted(planned, 'undisturbed block')} are done"
            f"{f', {spares} of them in the place of disturbed ones' if spares else ''}"
        )
    if blocks < run.manifest.repeats:
        return ""
    return (
        f"all {units.counted(spares, 'spare block')} are done, and {calm} of {planned} blocks were "
        "undisturbed; so all of them count"
    )


def _percent(share: float) -> str:
    return f"{units.significant(100 * share, 2)} %"
