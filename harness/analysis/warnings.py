"""What a reader must know before believing a run: warnings, each with the number behind it."""

import math
from collections import Counter

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.decision import decide_run, undisturbed
from harness.analysis.memory import methods, others
from harness.analysis.metrics import BY_KEY, Metric
from harness.analysis.order import by_slot, carry_over_of, drift_of, slots_of
from harness.records.models import ProcessResult, Trial
from harness.stats import slot_p
from harness.stats.family import reach

SLOWEST = 0.10  # a slowest trial further above the median is worth a look
SLOT = 0.05  # so is a slot that differs by more from the others
CPU_SLACK = 1.15  # CPU time above threads x wall by more than this: the limit did not hold
SLOT_P = 0.01  # and by more than chance
LAG_ERRORS = 2.5  # neighbours agree more than chance beyond this many times 1/√n
MARK = "†"  # of a peak memory by another method
LAG_FROM = 8  # trials; below, an autocorrelation says nothing


def warnings(analysis: Analysis) -> list[str]:
    """All warnings of a run, most serious first."""
    if analysis.machines:
        return _of_machines(analysis)
    return [
        *_incomplete(analysis),
        *_failed(analysis),
        *_accuracies(analysis),
        *_few_blocks(analysis),
        *_unverified(analysis),
        *_sandboxed(analysis),
        *_disturbed(analysis),
        *_spread(analysis),
        *_schedule_effects(analysis),
        *_carry_over(analysis),
        *_processes(analysis),
        *_doctor(analysis),
        *_records(analysis),
    ]


def _of_machines(analysis: Analysis) -> list[str]:
    """Of a run of several: what is of the run, then what is of each machine, by its name."""
    texts = [
        *_incomplete(analysis),
        *_failed(analysis),
        *_accuracies(analysis),
        *_unverified(analysis),
        *_lone(analysis),
    ]
    for name, part in analysis.machines.items():
        found = [
            *_few_blocks(part),
            *_disturbed(part),
            *_spread(part),
            *_schedule_effects(part),
            *_carry_over(part),
            *_processes(part),
            *_doctor(part),
        ]
        texts += [f"{name}: {text}" for text in found]
    return [*texts, *_records(analysis)]


def _lone(analysis: Analysis) -> list[str]:
    """Machines that have no part in the line over machines."""
    few = [name for name, part in analysis.machines.items() if part.valid_blocks < 2]
    if not few:
        return []
    return [f"Fewer than two valid blocks, so not in the line over machines: {', '.join(few)}."]


def _doctor(analysis: Analysis) -> list[str]:
    """What the doctor said of a cluster's machine when it joined."""
    known = analysis.run.machines.values() if len(analysis.run.machines) == 1 else ()
    return [
        f"bench doctor: {'; '.join(machine.findings)}." for machine in known if machine.findings
    ]


def _incomplete(analysis: Analysis) -> list[str]:
    planned = analysis.run.planned()
    done = len(analysis.run.finished())
    if done == len(planned):
        return []
    return [f"The run is not complete: {done} of {units.counted(len(planned), 'trial')} finished."]


def _failed(analysis: Analysis) -> list[str]:
    texts = []
    for name, trials in analysis.failures.items():
        if trials:
            finished = sum(t.engine == name for t in analysis.run.finished())
            reasons = Counter(outcome(t) for t in trials)
            told = ", ".join(f"{count} {word}" for word, count in sorted(reasons.items()))
            texts.append(f"{len(trials)} of {finished} trials of {name} failed: {told}.")
        stopped = sum(trial.timed_out for trial in trials)
        if stopped:
            texts.append(
                f"{units.counted(stopped, 'trial')} of {name} stopped at the time limit: in ratios "
                "of times each counts as the least that it can be, not as missing."
            )
    return texts


def _accuracies(analysis: Analysis) -> list[str]:
    """What is missing of the accuracies beyond the blocks, and what failed of them."""
    texts = []
    if analysis.run.points or not analysis.run.pending_blocks():
        left = len(analysis.run.pending_points())
        total = left + len(analysis.run.points)
        if left:
            texts.append(f"Accuracies outside of the blocks: {left} of {total} are still missing.")
    for name in analysis.engines:
        own = [point for point in analysis.run.points if point.engine == name]
        failed = [point for point in own if point.failure]
        if failed:
            texts.append(
                f"{len(failed)} of {len(own)} untimed trainings of {name} failed, the first with "
                f"seed {failed[0].seed}: {failed[0].failure}"
            )
    return texts


def outcome(trial: Trial) -> str:
    """The outcome of a trial in one word: the first of its processes that did not end well."""
    for process in (trial.train, trial.test):
        if process is not None and process.outcome != "ok":
            return process.outcome
    if trial.valid:
        return "ok"
    return "interrupted" if trial.state != "finished" else "contract_broken"


def _few_blocks(analysis: Analysis) -> list[str]:
    blocks = analysis.valid_blocks
    if len(analysis.engines) < 2 or blocks == 0 or blocks > 5:
        return []
    if blocks == 1:
        return ["1 block: without a repeat there is no interval, and no difference can be shown."]
    size = len(analysis.decision.cells)
    if not size:
        return []
    far = units.significant(reach(blocks, size), 2)
    return [
        f"{blocks} blocks for {units.counted(size, 'comparison')}: only a difference of {far} "
        "standard deviations of the blocks' ratios can be shown."
    ]


def _unverified(analysis: Analysis) -> list[str]:
    found = analysis.run.manifest.verification
    if found is None:
        if len(analysis.engines) < 2:
            return []
        return ["The engines were not verified to do the same work before this run."]
    wrong = [f for f in found.get("findings", []) if not f.get("ok", True)]
    told = "; ".join(f"{f.get('engine')}, {f.get('check')}: {f.get('reason')}" for f in wrong)
    if wrong or not found.get("ok", True):
        return [f"Verification before this run found different work: {told or 'no reason given'}."]
    named = {f.get("engine") for f in found.get("findings", [])}
    missing = [name for name in analysis.engines if name not in named]
    if named and missing:
        return [f"Not verified to do the same work before this run: {', '.join(missing)}."]
    return []


def _sandboxed(analysis: Analysis) -> list[str]:
    kind = analysis.run.manifest.sandbox
    if kind is None:
        return []
    return [
        f"Every process ran in a sandbox ({kind}): its start, some milliseconds, is part of the "
        "times, and its own processes are part of the peaks."
    ]


def verification_sentence(analysis: Analysis) -> str:
    """What was verified before the run, with the largest deviation found; "" if nothing was."""
    found = analysis.run.manifest.verification
    if not found or not found.get("ok") or not found.get("findings"):
        return ""
    largest = max(found["findings"], key=lambda f: f.get("deviation") or 0.0)
    return (
        f"Before the run the engines were verified to do the same work as {found['reference']}: "
        f"{len(found['findings'])} checks, largest relative deviation "
        f"{largest.get('deviation') or 0.0:.2g} ({largest['engine']}, {largest['check']}), "
        f"tolerance {largest['tolerance']:.2g}."
    )


def _disturbed(analysis: Analysis) -> list[str]:
    """How many trials the machine disturbed, and every verdict that hangs on them."""
    disturbed = [t for t in analysis.run.valid() if t.disturbed]
    if not disturbed:
        return []
    total = len(analysis.run.valid())
    texts = [f"{len(disturbed)} of {total} valid trials were disturbed by other work."]
    if analysis.decision.left_out:
        numbers = ", ".join(str(block + 1) for block in analysis.decision.left_out)
        ran = units.counted(analysis.decision.spares, "block")
        texts.append(
            f"Disturbed and not counted by the run's rule: blocks {numbers}; {ran} more ran."
        )
    if analysis.decision.left_out or not analysis.decision.cells:
        return texts
    calm = decide_run(undisturbed(analysis.run))
    for key, cell in analysis.decision.cells.items():
        without = calm.cells[key]
        if cell.metric.quantity.is_time and not cell.why and without.word != cell.word:
            texts.append(
                f"{cell.a} against {cell.b}, {cell.metric.name}: "
                f"{cell.word} with disturbed trials, {without.word} without "
                f"(ratio {units.ratio(without.ratio)} over {without.member.n})."
            )
    return texts


def _spread(analysis: Analysis) -> list[str]:
    texts = []
    for name in analysis.engines:
        summary = analysis.summary(name, "train_wall_s")
        if summary.median and summary.max and summary.max > (1 + SLOWEST) * summary.median:
            above = units.significant(100 * (summary.max / summary.median - 1), 2)
            texts.append(
                f"{name}: the slowest training is {above} % above the median "
                f"({units.seconds(summary.max)} against {units.seconds(summary.median)})."
            )
    return texts


def _schedule_effects(analysis: Analysis) -> list[str]:
    texts = []
    metric = BY_KEY["total_wall_s"]
    for name in analysis.engines:
        trend = drift_of(analysis, name, metric)
        if trend.per_block is not None and trend.interval is not None:
            low, high = trend.interval
            if low > 0 or high < 0:
                texts.append(
                    f"{name}: total time drifts by {100 * trend.per_block:+.2f} % per block "
                    f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f} %)."
                )
        limit = LAG_ERRORS / math.sqrt(trend.n) if trend.n >= LAG_FROM else 1.0
        if trend.lag_one is not None and abs(trend.lag_one) > limit:
            texts.append(f"{name}: neighbouring trials correlate by {trend.lag_one:+.2f}.")
        texts += _slots(analysis, name, metric)
    return texts


def _carry_over(analysis: Analysis) -> list[str]:
    found = carry_over_of(analysis)
    if found is None or found.p > SLOT_P:
        return []
    name, (effect, interval) = max(found.effects.items(), key=lambda item: abs(item[1][0] - 1))
    if abs(effect - 1) <= SLOT:
        return []
    ends = units.span(interval, lambda end: units.signed(100 * (end - 1)))
    return [
        f"Trials right behind {name} differ by {100 * (effect - 1):+.1f} % from those behind the "
        f"others (95 % interval {ends} %): --settle gives the machine more time between trials."
    ]


def _slots(analysis: Analysis, engine: str, metric: Metric) -> list[str]:
    effects = slots_of(analysis, engine, metric)
    p = slot_p(*by_slot(analysis, engine, metric))
    far = max(effects.items(), key=lambda item: abs(item[1] - 1), default=None)
    if far is None or abs(far[1] - 1) <= SLOT or p is None or p > SLOT_P:
        return []
    change = f"{100 * (far[1] - 1):+.1f} %"
    return [f"{engine}: total time in slot {far[0] + 1} of a block differs by {change}."]


def _processes(analysis: Analysis) -> list[str]:
    """Numbers that are bounds only, and thread limits that did not hold."""
    texts = []
    limit = analysis.run.manifest.threads
    other = others(analysis.run)
    if other:
        known = methods(analysis.run)
        told = "; ".join(f"{name}: {method}" for name, method in known.items())
        texts.append(
            f"Peak memory is not one quantity of all engines, by its method ({told}); the table "
            f"marks {', '.join(other)} with {MARK}."
        )
    for name in analysis.engines:
        results = _results(analysis, name)
        lower = sum(p.cpu_bound == "lower" for p in results)
        if lower:
            texts.append(
                f"{name}: CPU time is a lower bound in {lower} of {len(results)} processes."
            )
        inexact = [p for p in results if (m := p.tree_peak or p.peak_rss) and m.bound != "exact"]
        if inexact:
            texts.append(
                f"{name}: peak memory is not exact in {len(inexact)} of {len(results)} processes."
            )
        busiest = max((p.cpu_ratio or 0.0 for p in results), default=0.0)
        if busiest > CPU_SLACK * limit:
            texts.append(
                f"{name}: used {busiest:.2f} cores, although {units.counted(limit, 'thread')} "
                "was the limit."
            )
    return texts


def _results(analysis: Analysis, engine: str) -> list[ProcessResult]:
    trials = [t for t in analysis.run.valid() if t.engine == engine]
    return [p for t in trials for p in (t.train, t.test) if p is not None]


def _records(analysis: Analysis) -> list[str]:
    texts = [f"Refused record: {problem}" for problem in analysis.run.problems[:5]]
    more = len(analysis.run.problems) - 5
    if more > 0:
        texts.append(f"{more} more records were refused.")
    if analysis.run.torn:
        texts.append("The last record was cut off; `bench run --resume` does its work again.")
    return texts
