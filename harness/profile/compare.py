"""Profiles beside each other: the rows of the tables, and what may be said of the differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from harness import units
from harness.contract import ops
from harness.profile.model import CLOSES_WITHIN, EngineProfile, Profile
from harness.profile.work import Work, step_work, total

THREE_PASSES = (ops.CONVOLUTION, ops.MATMUL)
# A pass over memory stores a vector in each cycle at best, in which the peak has two multiply-adds,
# and reads as much or more. What seems faster was done elsewhere: fused into another's kernel.
ELEMENTWISE = (ops.ACTIVATION, ops.NORMALISATION, ops.LOSS, ops.OPTIMIZER, ops.MOVEMENT)
ELEMENTWISE_SHARE = 0.25
MUCH_UNATTRIBUTED = 0.1  # of the step; from there on a note says so


class Row(NamedTuple):
    """A row of the table: a class, and one pass of it where it has three."""

    kind: str
    part: str | None

    @property
    def title(self) -> str:
        """What people read."""
        return self.kind if self.part is None else f"{self.kind}, {self.part}"


@dataclass(frozen=True)
class Cell:
    """One engine's figures in a row, of one step.

    step_s: seconds. share: of the engine's step. flop_per_s: the work that the shapes ask for over
    the seconds; None where a class has none, took no time, or was done in another's kernels.
    intensity: FLOP per byte.
    """

    step_s: float
    share: float
    flop_per_s: float | None
    of_peak: float | None
    intensity: float | None


def rows(profile: Profile) -> list[Row]:
    """Every class that an engine spent time in, or whose time is to be seen to be none."""
    found = []
    for kind in ops.CLASSES:
        if kind not in THREE_PASSES:
            found.append(Row(kind, None))
            continue
        found += [Row(kind, part) for part in ops.PASSES[:3]]
    used = [row for row in found if any(seconds(e, row) for e in profile.measured)]
    always = [row for row in found if row.kind in (ops.DISPATCH, ops.UNATTRIBUTED)]
    return [row for row in found if row in used or row in always]


def seconds(engine: EngineProfile, row: Row) -> float:
    """Seconds of the epoch; of a class with three passes, what has no pass counts as forward."""
    if row.part == ops.FORWARD:
        known = sum(engine.seconds(row.kind, part) for part in ops.PASSES[1:3])
        return engine.seconds(row.kind) - known
    return engine.seconds(row.kind, row.part)


def cell(profile: Profile, engine: EngineProfile, row: Row) -> Cell:
    """What one engine did in a row."""
    step_s = seconds(engine, row) / profile.steps
    flop, moved = _work(profile, row)
    rate = flop / step_s if flop and step_s else None
    if rate and row.kind in ELEMENTWISE and rate > ELEMENTWISE_SHARE * profile.peak.flop_per_s:
        rate = None
    return Cell(
        step_s,
        seconds(engine, row) / max(engine.profiled_s, engine.reported_s),
        rate,
        rate / profile.peak.flop_per_s if rate else None,
        flop / moved if flop else None,
    )


def whole(profile: Profile, engine: EngineProfile) -> Cell:
    """The whole step under the profiler."""
    work = step_work(profile.workload)
    step_s = engine.profiled_s / profile.steps
    flop, moved = sum(w.flop for w in work), sum(w.bytes for w in work)
    return Cell(step_s, 1.0, flop / step_s, flop / step_s / profile.peak.flop_per_s, flop / moved)


def _work(profile: Profile, row: Row) -> tuple[float, float]:
    work: list[Work] = step_work(profile.workload)
    return total(work, row.kind, row.part)


def notes(profile: Profile) -> Iterator[str]:
    """What a reader has to know before believing a profile, a sentence each."""
    for engine in profile.engines:
        if engine.failure:
            yield f"{engine.engine}: no profile: {engine.failure}"
            continue
        name = engine.engine
        if not engine.closes:
            yield (
                f"{name}: its operations add up to {100 * engine.excess:.1f} % more than the step: "
                f"more than {100 * CLOSES_WITHIN:.0f} % cannot be believed."
            )
        lost = engine.seconds(ops.UNATTRIBUTED) / engine.profiled_s
        if lost > MUCH_UNATTRIBUTED:
            yield f"{name}: {100 * lost:.0f} % of the step is unattributed: {_largest(engine)}"


def _largest(engine: EngineProfile) -> str:
    """The names behind what is unattributed, the largest first."""
    found = [op for op in engine.operations if op.kind == ops.UNATTRIBUTED]
    found.sort(key=lambda op: -op.seconds)
    if not found:
        return "time that no operation reported."
    return ", ".join(dict.fromkeys(op.name for op in found[:3])) + "."


def conclusions(profile: Profile) -> Iterator[str]:
    """The first engine against each other one: how much, and in which class most of it lies.

    Steps are compared without the profiler. A difference in a class is claimed only where it is
    larger than what the profilers of both engines cost.
    """
    if len(profile.measured) < 2:
        return
    base, *others = profile.measured
    for other in others:
        yield _difference(profile, base, other)


def _difference(profile: Profile, base: EngineProfile, other: EngineProfile) -> str:
    steps = profile.steps
    gap = (other.plain - base.plain) / steps
    words = "more" if gap >= 0 else "less"
    factor = other.plain / base.plain
    head = (
        f"{other.engine} takes {units.seconds(abs(gap))} a step {words} than {base.engine} "
        f"({units.seconds(other.plain / steps)} and {units.seconds(base.plain / steps)}, "
        f"{units.ratio(factor)} times)"
    )
    cost = sum(abs(e.profiled_s - e.plain) for e in (base, other)) / steps
    parts = [(row, (seconds(other, row) - seconds(base, row)) / steps) for row in rows(profile)]
    claimed = [(row, by) for row, by in parts if abs(by) > cost]
    claimed.sort(key=lambda pair: -abs(pair[1]))
    limit = f"what the profilers cost, {units.seconds(cost)}"
    if not claimed:
        return f"{head}; no class differs by more than {limit}."
    told = "; ".join(
        f"{row.title} {'+' if by > 0 else '−'}{units.seconds(abs(by))}" for row, by in claimed[:4]
    )
    return f"{head}. By class: {told}. Differences below {limit}, are not claimed."
