"""The same command, measured by `bench run` and by hyperfine: do the two agree?

    python benchmarks/against_hyperfine.py [--engine myad] [--preset quick]
        [--runs 20] [--rounds 10]

Measures the train process of an engine `runs` times with each, in rounds that take turns so that a
drift of the machine meets both, and prints median wall time, mean CPU time, and the interval of the
ratio that the rounds themselves allow. They agree if the walls differ by at most 2 % or 5 ms and
the CPU times by at most 3 %. Needs hyperfine (on Debian: apt install hyperfine) and a quiet
machine. Exit code 1 if they do not agree.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.machine.environment import engine_environment
from harness.records.store import read_run
from harness.run.loop import start
from harness.run.options import RunOptions
from harness.stats import paired_ratio
from harness.trial.engines import find
from harness.workload import start as weights

Runs = list[tuple[float, float]]  # wall and CPU seconds of each
WALL_SHARE, WALL_S, CPU_SHARE = 0.02, 0.005, 0.03


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="myad")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    if shutil.which("hyperfine") is None:
        print("hyperfine is not installed (on Debian: apt install hyperfine).", file=sys.stderr)
        return 2
    ours: list[Runs] = []
    theirs: list[Runs] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(chosen.rounds):
            runs = chosen.runs * (turn + 1) // chosen.rounds - chosen.runs * turn // chosen.rounds
            ours.append(by_bench(chosen, folder, f"round{turn}", runs))
            theirs.append(by_hyperfine(chosen, folder, f"round{turn}", runs))
    rounds = paired_ratio(*([median_wall(runs) for runs in side] for side in (ours, theirs)))
    code = compare(*([run for runs in side for run in runs] for side in (ours, theirs)))
    if rounds.interval:
        low, high = rounds.interval
        print(f"ratio of walls over the rounds: {rounds.ratio:.4f} (95 % {low:.4f} to {high:.4f})")
    return code


def median_wall(runs: Runs) -> float:
    """Median wall seconds of one round."""
    return statistics.median(wall for wall, _ in runs)


def by_bench(chosen, folder: Path, name: str, runs: int) -> Runs:
    """(wall, CPU) seconds of each train process by `bench run`."""
    ended = start(
        RunOptions(
            preset=chosen.preset,
            engines=chosen.engine,
            repeats=runs,
            warmups=1,
            name=name,
            results=folder,
            verify=False,
        )
    )
    trials = [trial.train for trial in read_run(ended.folder).valid()]
    return [(train.wall_s, train.user_s + train.system_s) for train in trials]


def by_hyperfine(chosen, folder: Path, name: str, runs: int) -> Runs:
    """The same by hyperfine: wall of each run, mean CPU time (it keeps no single ones)."""
    job = json.loads((folder / name / "trials" / f"0-{chosen.engine}/train/job.json").read_text())
    work = folder / f"{name}-hyperfine"
    work.mkdir()
    job |= {
        "initial_weights": str(work / "initial.npz"),
        "weights": str(work / "weights.npz"),
        "report": str(work / "report.jsonl"),
    }
    model = job["workload"]["model"]
    start_weights = weights.initial_weights(model, job["seed"], "float32")
    weights.save(work / "initial.npz", start_weights)
    (work / "job.json").write_text(json.dumps(job))
    command = [*find()[chosen.engine].command, "train", "--job", str(work / "job.json")]
    subprocess.run(
        [
            *("hyperfine", "-N", "--warmup", "1", "--runs", str(runs)),
            *("--export-json", str(work / "hyperfine.json"), " ".join(command)),
        ],
        check=True,
        cwd=work,
        env=engine_environment(work, threads=1, base=os.environ),
        stdout=subprocess.DEVNULL,
    )
    found = json.loads((work / "hyperfine.json").read_text())["results"][0]
    return [(wall, found["user"] + found["system"]) for wall in found["times"]]


def compare(ours: Runs, theirs: Runs) -> int:
    """Print the figures; 0 if they agree."""
    walls = [median_wall(runs) for runs in (ours, theirs)]
    cpus = [statistics.fmean(cpu for _, cpu in runs) for runs in (ours, theirs)]
    print(f"{'':10} {'median wall s':>14} {'user + system s':>16} {'runs':>5}")
    for name, wall, cpu, runs in zip(
        ("bench", "hyperfine"), walls, cpus, (ours, theirs), strict=True
    ):
        print(f"{name:10} {wall:14.4f} {cpu:16.4f} {len(runs):5}")
    wall_gap, cpu_gap = walls[0] - walls[1], cpus[0] - cpus[1]
    print(f"wall differs by {1000 * wall_gap:+.1f} ms ({100 * wall_gap / walls[1]:+.2f} %)")
    print(f"CPU time differs by {1000 * cpu_gap:+.1f} ms ({100 * cpu_gap / cpus[1]:+.2f} %)")
    wall_agrees = abs(wall_gap) <= max(WALL_SHARE * walls[1], WALL_S)
    agrees = wall_agrees and abs(cpu_gap) <= CPU_SHARE * cpus[1]
    print("They agree." if agrees else "They do not agree.")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
