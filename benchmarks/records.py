"""How long a run of many recorded trials takes to be read, resumed and reported.

    python benchmarks/records.py [--trials 10000]

Makes the run from one real trial, copied under other names. The rule is less than 10 s for 10,000.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.records import store
from harness.records.models import Planned
from harness.records.store import read_run
from harness.run.loop import start
from harness.run.options import RunOptions

BENCH = [sys.executable, "-m", "harness.cli"]


def main() -> int:
    """Make the run, time the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = Path(name)
        many(results, chosen.trials)
        timed("read", lambda: read_run(results / "many"))
        for command in (["run", "--resume"], ["report"]):
            where = ["--results", str(results), *(["--name"] if command[0] == "run" else [])]
            words = [*BENCH, *command, *where, "many"]
            timed(" ".join(command), lambda words=words: run(words))
    return 0


def many(results: Path, count: int) -> None:
    """A finished run of `count` trials, two engines in turn."""
    names = ("myad", "myad-eager")
    ended = start(
        RunOptions(
            preset="smoke",
            engines=",".join(names),
            repeats=1,
            warmups=0,
            name="many",
            results=results,
            verify=False,
        )
    )
    first = read_run(ended.folder)
    trials = []
    for number in range(count):
        block, slot = divmod(number, 2)
        changes = {"id": f"{block}-{names[slot]}", "block": block, "slot": slot}
        trials.append(first.trials[slot].model_copy(update={**changes, "engine": names[slot]}))
    fields = set(Planned.model_fields)
    schedule = [Planned(**trial.model_dump(include=fields)) for trial in trials]
    changes = {"schedule": schedule, "repeats": count // 2, "seeds": list(range(count // 2))}
    store.write_manifest(ended.folder, first.manifest.model_copy(update=changes))
    lines = "\n".join(trial.model_dump_json() for trial in trials)
    (ended.folder / store.RECORDS).write_text(lines + "\n")


def run(command: list[str]) -> None:
    """Run a command that must go well."""
    subprocess.run(command, check=True, capture_output=True)


def timed(name: str, action) -> None:
    """Print how long an action takes."""
    begin = time.perf_counter()
    action()
    print(f"{name:14} {time.perf_counter() - begin:6.2f} s")


if __name__ == "__main__":
    sys.exit(main())
