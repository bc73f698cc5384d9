"""What the memory sampler costs: the same process with it and without it, in pairs.

    python benchmarks/sampler_cost.py [--pairs 30] [--seconds 1.0]

Prints the ratio of wall times (with / without) with its 95 % interval (t, on paired logarithms),
and the CPU time of the sampler as a share of the wall time. The rule is less than 1 %.
"""

import argparse
import math
import random
import statistics
import sys
import tempfile
from pathlib import Path

from scipy import stats

from harness.machine.environment import engine_environment
from harness.process.supervise import POLL_S, Control, Limits, run_process


def main() -> int:
    """Measure pairs in random order and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1.0)
    chosen = parser.parse_args()
    # a fixed number of rounds, not a fixed time: what is slowed down must take longer
    rounds = max(int(chosen.seconds * 700), 1)
    program = f"x = list(range(20000))\nfor _ in range({rounds}): x = [a * 3 % 65537 for a in x]"
    order = random.Random(0)
    logs, shares = [], []
    for _ in range(chosen.pairs):
        sides = [POLL_S, None]
        order.shuffle(sides)
        wall = {}
        for interval in sides:
            wall[interval], cost = measure(program, interval)
            if interval is not None:
                shares.append(cost / wall[interval])
        logs.append(math.log(wall[POLL_S] / wall[None]))
    middle, half = statistics.fmean(logs), interval_of(logs)
    low, high = math.exp(middle - half), math.exp(middle + half)
    print(f"pairs {chosen.pairs}, with / without: {math.exp(middle):.4f} ({low:.4f} to {high:.4f})")
    print(f"CPU time of the sampler: {100 * statistics.fmean(shares):.3f} % of the wall time")
    inside = low >= 0.99 and high <= 1.01
    print("The interval lies inside 1 %." if inside else f"Half width {100 * half:.2f} %.")
    return 0


def interval_of(logs: list[float]) -> float:
    """Half width of the 95 % interval of the mean."""
    spread = statistics.stdev(logs) / math.sqrt(len(logs))
    return float(stats.t.ppf(0.975, len(logs) - 1)) * spread


def measure(program: str, interval: float | None) -> tuple[float, float]:
    """Wall seconds of one process, and CPU seconds of its sampler."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = run_process(
            [sys.executable, "-I", "-S", "-c", program],
            folder,
            engine_environment(folder, threads=1),
            report=folder / "report.jsonl",
            limits=Limits(sample_interval_s=interval),
            control=Control(),
        )
    return (seen.ended["end_ns"] - seen.ended["start_ns"]) / 1e9, seen.timeline.sampler_s


if __name__ == "__main__":
    sys.exit(main())
