"""A cluster on this machine whose workers, scheduler and commander are killed at random moments.

usage: python -m tests.harness.cluster.faults --blocks 200 --kills 25 --seed 0 [--keep FOLDER]

What is compared with an undisturbed run: every record's figures, which `steady_worker` makes depend
on engine and seed alone, the predictions, and the tables of the report.
"""

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.analysis.analysis import analyze
from harness.cluster.commander import Cluster, Patience
from harness.cluster.site import Local
from harness.machine.lock import LOCK_VARIABLE
from harness.records.store import MANIFEST, RECORDS, read_run
from harness.report.render import as_markdown
from harness.report.tables import accuracy_table, ratio_table, schedule_table, wide_table
from harness.run import crew, loop
from harness.run.options import RunOptions
from tests.fakes.steady_worker import Steady

ROOT = Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests" / "fakes" / "engine.py"
WORKER = (sys.executable, "-m", "tests.fakes.steady_worker")
TINY = """
name = "tiny"
[model]
layers = [{ type = "flatten" }, { type = "dense", units = 10, activation = "softmax" }]
[data]
dataset = "mnist"
train_limit = 40
test_limit = 20
[training]
optimizer = "sgd"
learning_rate = 0.01
epochs = 2
batch_size = 4
"""
VICTIMS = ("worker", "scheduler", "commander")


def command(folder: Path, blocks: int) -> int:
    """Be the commander of the run in `folder`: begin it, or go on with it."""
    options = _options(folder, blocks)
    site = Local(2, commands=options.commands, program=WORKER)
    crew = Cluster(site, Patience(look_s=0.2, machine_s=30.0))
    if (folder / "results" / "r" / MANIFEST).is_file():
        return loop.resume(folder / "results", "r", commands=options.commands, crew=crew).exit_code
    return loop.start(options, crew=crew).exit_code


def _options(folder: Path, blocks: int) -> RunOptions:
    engine = shlex.join([sys.executable, "-I", "-S", str(FAKE), "seeded:0.01"])
    return RunOptions(
        preset=str(folder / "tiny.toml"),
        commands=(f"a={engine}", f"bb={engine}"),
        repeats=blocks,
        warmups=1,
        name="r",
        results=folder / "results",
        verify=False,
    )


def undisturbed(folder: Path, blocks: int) -> Path:
    """A run in which nothing is killed."""
    assert _commander(folder, blocks).wait() == 0
    return folder / "results" / "r"


def alone(folder: Path, blocks: int) -> Path:
    """The same run without a cluster, in this process."""
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text(TINY)
    options = _options(folder, blocks)
    before, crew.LocalRunner = crew.LocalRunner, Steady  # type: ignore[misc]
    try:
        return loop.start(options).folder
    finally:
        crew.LocalRunner = before  # type: ignore[misc]


def disturbed(folder: Path, blocks: int, kills: int, seed: int) -> tuple[Path, list[str]]:
    """A run in which `kills` processes are killed, spread over it; also who was, in order."""
    moments, killed = random.Random(seed), []
    commander = _commander(folder, blocks)
    run = folder / "results" / "r"
    for kill in range(kills):
        # evenly over the blocks, whatever they take, and at any point of one
        _wait(commander, run, 4 * blocks * kill // kills)
        time.sleep(moments.uniform(0.0, 0.3))
        victim = VICTIMS[kill] if kill < 3 else moments.choice(VICTIMS)
        while commander.poll() is None:
            if victim == "commander":
                commander.kill()
                commander.wait()
                commander = _commander(folder, blocks)
                killed.append(victim)
                break
            if _kill_child(commander, victim, moments):
                killed.append(victim)
                break
            time.sleep(0.05)  # it has only just been started again
    while (code := commander.wait()) != 0:
        raise RuntimeError(f"the commander ended with {code}")
    return run, killed


def _commander(folder: Path, blocks: int) -> "subprocess.Popen[bytes]":
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.toml").write_text(TINY)
    environment = {**os.environ, LOCK_VARIABLE: str(folder / "host.lock")}
    code = [
        sys.executable,
        "-m",
        "tests.harness.cluster.faults",
        "--command",
        str(folder),
        "--blocks",
        str(blocks),
    ]
    with (folder / "commander.log").open("ab") as log:
        return subprocess.Popen(code, cwd=ROOT, env=environment, stdout=log, stderr=log)


def _wait(commander: "subprocess.Popen[bytes]", run: Path, lines: int) -> None:
    """Until the run has so many records."""
    while commander.poll() is None and _lines(run) < lines:
        time.sleep(0.02)


def _lines(run: Path) -> int:
    try:
        return (run / RECORDS).read_bytes().count(b"\n")
    except OSError:
        return 0


def _kill_child(commander: "subprocess.Popen[bytes]", victim: str, moments: random.Random) -> bool:
    mark = "steady_worker" if victim == "worker" else "dask_scheduler"
    found = []
    for child in psutil.Process(commander.pid).children():
        try:
            if any(mark in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    if not found:
        return False
    moments.choice(sorted(found, key=lambda child: child.pid)).kill()
    return True


def figures(run: Path) -> dict[str, object]:
    """What must not depend on kills: per trial all that is not a moment, and the tables."""
    read = read_run(run)
    assert read.problems == []
    assert not read.torn
    told: dict[str, object] = {}
    for trial in read.trials:
        if not trial.warmup:
            record = json.loads(trial.model_dump_json(exclude={"at", "machine", "waited_s"}))
            predictions = (read.trial_folder(trial, "test") / "predictions.npy").read_bytes()
            told[trial.id] = record, predictions
    analysis = analyze(run)
    tables = (wide_table, ratio_table, accuracy_table, schedule_table)
    told["tables"] = [as_markdown(table(analysis)) for table in tables]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--command", type=Path)
    given = parser.parse_args()
    if given.command:
        return command(given.command, given.blocks)
    place = given.keep or Path(tempfile.mkdtemp(prefix="bench-cluster-faults-"))
    begin = time.monotonic()
    run, killed = disturbed(place / "disturbed", given.blocks, given.kills, given.seed)
    middle = time.monotonic()
    calm = undisturbed(place / "calm", given.blocks)
    ours, theirs = figures(run), figures(calm)
    counts = ", ".join(f"{killed.count(victim)} {victim}" for victim in VICTIMS)
    records = len(ours) - 1
    print(
        f"{given.blocks} blocks, seed {given.seed}: killed {counts} in {middle - begin:.0f} s "
        f"(undisturbed: {time.monotonic() - middle:.0f} s); {records} records, "
        f"{_lines(run)} lines, figures and tables {'equal' if ours == theirs else 'DIFFER'}."
    )
    if ours == theirs:
        return 0
    print([key for key in theirs if ours.get(key) != theirs[key]], place)
    return 1


if __name__ == "__main__":
    sys.exit(main())
