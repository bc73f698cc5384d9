"""A/A: one program measured against itself, to see how small a difference this machine can show."""

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.machine.environment import engine_environment
from harness.process.supervise import Control, Limits, run_process
from harness.records.store import Run
from harness.run import schedule

# Works like an engine's step (arithmetic on a block that fits into the cache), with the standard
# library alone; about 0.3 s on a core of 2020.
PROGRAM = "x = list(range(20000))\nfor _ in range(400): x = [a * 3 % 65537 for a in x]"
# Student's t, two-sided 95 %, for 9 degrees of freedom: the interval of ten repeats.
T_TEN = 2.2621571628


@dataclass(frozen=True)
class SelfComparison:
    """Ten-repeat conclusions of a program against itself.

    blocks: pairs measured. ratio: geometric mean of A/B. claim: half width of the 95 % interval
    of the ratio that ten repeats would have here; smaller differences cannot be shown.
    """

    blocks: int
    ratio: float
    claim: float
    median_s: float


def compare_with_itself(
    duration_s: float, *, on_block: Callable[[int], None] = lambda block: None
) -> SelfComparison:
    """Measure pairs of equal processes for about `duration_s` seconds, at least three pairs."""
    ratios: list[float] = []
    walls: list[float] = []
    deadline = time.monotonic() + duration_s
    with tempfile.TemporaryDirectory(prefix="bench-aa-") as folder:
        while len(ratios) < 3 or time.monotonic() < deadline:
            order = schedule.plan(
                ("a", "b"), repeats=1, warmups=0, seeds=[0], schedule_seed=len(ratios)
            )
            pair = {planned.engine: _measure(Path(folder)) for planned in order}
            ratios.append(math.log(pair["a"] / pair["b"]))
            walls += pair.values()
            on_block(len(ratios))
    half_width = T_TEN * statistics.stdev(ratios) / math.sqrt(10)
    return SelfComparison(
        len(ratios),
        math.exp(statistics.fmean(ratios)),
        math.expm1(half_width),
        statistics.median(walls),
    )


@dataclass(frozen=True)
class EqualRuns:
    """Whole runs of five engines that are one program, each decided as any run is.

    runs: how many. wrong: how many of them called an engine faster or slower. widest: median over
    the runs of half of the widest interval, as a share.
    """

    runs: int
    wrong: int
    widest: float


def equal_runs(
    count: int, *, blocks: int = 10, on_run: Callable[[int], None] = lambda run: None
) -> EqualRuns:
    """Measure so many runs of ten blocks here, and count the wrong words."""
    from harness.analysis.decision import decide_run  # SciPy: only where it is asked for
    from harness.run import simulate

    world, wrong, widths = simulate.World(), 0, []
    with tempfile.TemporaryDirectory(prefix="bench-aa-") as folder:
        for seed in range(count):
            made = simulate.manifest(world, blocks, seed)
            trials = [
                simulate.trial_of(p, _measure(Path(folder)), _measure(Path(folder)), 0.9, 1.0)
                for p in made.schedule
            ]
            decision = decide_run(Run(Path(folder), made, trials))
            wrong += any(cell.word in ("faster", "slower") for cell in decision.cells.values())
            widths.append(decision.widest or 0.0)
            on_run(seed + 1)
    return EqualRuns(count, wrong, statistics.median(widths))


def _measure(folder: Path) -> float:
    """Wall seconds of one run of the program, by the launcher."""
    seen = run_process(
        [sys.executable, "-I", "-S", "-c", PROGRAM],
        folder,
        engine_environment(folder, threads=1),
        report=folder / "report.jsonl",
        limits=Limits(timeout_s=120.0),
        control=Control(),
    )
    if seen.ended.get("exit_code") != 0:
        raise RuntimeError(f"the A/A program failed: {seen.failure or seen.ended}")
    return (seen.ended["end_ns"] - seen.ended["start_ns"]) / 1e9
