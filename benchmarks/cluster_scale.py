"""What a scheduler and a commander bear: thousands of blocks of engines that answer at once.

usage: python benchmarks/cluster_scale.py [--blocks 10000] [--workers 64] [--processes 8]

The workers of this script are real ones of Dask in some processes, each a machine of its own by
name; only the engines are not: a trial is a record made up on the spot, with the files of a real
one's size. Prints blocks a second, bytes a block, memory of commander and scheduler, and the time
of the report.
"""

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness.cluster import guard, tasks
from harness.cluster.baggage import pack
from harness.cluster.commander import Cluster
from harness.cluster.messages import RESOURCE
from harness.cluster.site import Scheduler
from harness.cluster.worker import QUIET
from harness.machine.host import machine_record
from harness.records.models import Epoch, Machine, Memory, ProcessResult, Trial, Witnesses
from harness.records.store import RECORDS, read_manifest
from harness.run import loop
from harness.run.options import RunOptions
from harness.trial.runner import Block
from harness.trial.trial import Bench, record

ROOT = Path(__file__).resolve().parents[1]
IMAGES = 2000  # of the test set of the `quick` preset
SEEDS = np.random.default_rng(0)


class Instant:
    """A runner whose engines take no time: records and files like those of the `quick` preset."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def run(self, block: Block) -> Iterator[Trial]:
        for planned in block.trials:
            yield record(planned, "started")
            trial = record(planned, "finished")
            scale = 1.0 + len(planned.engine)
            wall = float(scale * np.exp(0.02 * SEEDS.standard_normal()))
            trial.train, trial.test = _process("train", wall), _process("test", 0.1 * wall)
            trial.correct, trial.test_count, trial.accuracy = 1820, IMAGES, 1820 / IMAGES
            trial.valid = True
            self._files(planned.id)
            yield trial

    def _files(self, name: str) -> None:
        folder = self.bench.folder / "trials" / name
        for process in ("train", "test"):
            (folder / process).mkdir(parents=True, exist_ok=True)
            (folder / process / "report.jsonl").write_text('{"event": "phase"}\n' * 8)
            rows = "".join(f"{0.05 * k:.3f},{10**7 + k},,1,1,\n" for k in range(60))
            (folder / process / "memory.csv").write_text(rows)
        np.save(folder / "test" / "predictions.npy", SEEDS.integers(0, 10, IMAGES, np.uint8))


def _process(name: str, wall: float) -> ProcessResult:
    return ProcessResult(
        outcome="ok",
        wall_s=wall,
        outer_wall_s=wall + 0.002,
        user_s=0.9 * wall,
        system_s=0.05 * wall,
        cpu_ratio=0.95,
        peak_rss=Memory(bytes=60_000_000, method="wait4 ru_maxrss", bound="exact"),
        exit_code=0,
        phases={"import": 0.1 * wall, "load": 0.1 * wall, name: 0.7 * wall},
        start_up_and_exit_s=0.1 * wall,
        epochs=[Epoch(epoch=1, seconds=0.7 * wall, loss=0.5, examples=10_000)],
        layers=["conv2d", "max_pooling2d", "flatten", "dense"],
        versions={"numpy": "2.4.6", "llvmlite": "0.50.0"},
        witnesses=Witnesses(load_before=0.1, load_after=0.1, other_cpu_s=0.01, steal_s=0.0),
    )


def _machine(name: str) -> Machine:
    """As if each worker were a host of its own."""
    made = machine_record(name)
    return made.model_copy(update={"id": f"{zlib.crc32(name.encode()):012x}"})


async def _workers(address: str, first: int, count: int, folder: Path) -> None:
    """Some of Dask's workers in this process; each task finds its own by its name."""
    import dask
    from distributed import Worker

    guard.install()
    dask.config.set(QUIET)
    logging.getLogger("distributed").setLevel(logging.ERROR)
    tasks.ME = tasks.Worker(folder=folder / str(first), make_runner=Instant)
    tasks.ME.machine = lambda _: _machine(str(_here().name))
    workers = [
        Worker(
            address,
            name=f"node{first + n}",
            nthreads=1,
            resources={RESOURCE: 1},
            memory_limit=0,
            dashboard=False,
        )
        for n in range(count)
    ]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


def _here() -> Any:
    from distributed import get_worker

    return get_worker()


def main() -> None:
    """Measure, and print a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--serve", nargs=4)
    parser.add_argument("--command", nargs=2)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.serve:
        address, first, count, folder = given.serve
        asyncio.run(_workers(address, int(first), int(count), Path(folder)))
    elif given.command:
        _command(given.command[0], Path(given.command[1]), given.blocks)
    else:
        _measure(given.blocks, given.workers, given.processes, given.keep)


def _command(address: str, folder: Path, blocks: int) -> None:
    """The commander, alone in its process."""
    options = RunOptions(
        preset="quick",
        engines="myad,myad-eager",
        repeats=blocks,
        warmups=1,
        name="scale",
        results=folder / "results",
        verify=False,
    )
    begin = time.monotonic()
    ended = loop.start(options, crew=Cluster(Scheduler(address)))
    told = {
        "seconds": time.monotonic() - begin,
        "peak": _peak(),
        "sentence": ended.sentence,
    }
    print(json.dumps(told))


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _measure(blocks: int, workers: int, processes: int, keep: Path | None) -> None:
    folder = keep or Path(tempfile.mkdtemp(prefix="bench-cluster-scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MYAD_BENCH_LOCK": str(folder / "lock")}
    port = 18786
    address = f"tcp://127.0.0.1:{port}"
    scheduler = subprocess.Popen(
        [
            *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
            *("--port", str(port), "--no-dashboard", "--no-show"),
            *("--preload", "harness.cluster.preload"),
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    me = [sys.executable, str(Path(__file__).resolve())]
    share = workers // processes
    served = [
        subprocess.Popen(
            [*me, "--serve", address, str(share * n), str(share), str(folder)],
            cwd=ROOT,
            env={**environment, "MYAD_BENCH_LOCK": str(folder / f"lock-{n}")},
        )
        for n in range(processes)
    ]
    time.sleep(5)
    try:
        before = psutil.Process(scheduler.pid).cpu_times()
        done = subprocess.run(
            [*me, "--command", address, str(folder), "--blocks", str(blocks)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=(folder / "commander.log").open("w"),
            check=True,
        )
        after = psutil.Process(scheduler.pid).cpu_times()
        memory = psutil.Process(scheduler.pid).memory_info().rss
    finally:
        for process in (*served, scheduler):
            process.kill()
    told = json.loads(done.stdout.splitlines()[-1])
    run = folder / "results" / "scale"
    lines = (run / RECORDS).read_bytes()
    parsed = [json.loads(line) for line in lines.splitlines()]
    machines = len({record["machine"] for record in parsed})
    report_s, report_peak = _report(run)
    print(told["sentence"])
    print(
        f"{blocks} blocks of {len(read_manifest(run).engines)} engines on {machines} machines in "
        f"{told['seconds']:.0f} s, {_rate(parsed):.0f} blocks/s once all had joined; "
        f"commander {told['peak'] / 1e6:.0f} MB; scheduler {memory / 1e6:.0f} MB, "
        f"{1e3 * (after.user + after.system - before.user - before.system) / blocks:.1f} ms CPU "
        f"a block; {len(lines) / blocks / 1e3:.1f} kB of records and "
        f"{_files_of(run, blocks) / 1e3:.1f} kB of files a block; report {report_s:.1f} s, "
        f"{report_peak / 1e6:.0f} MB. {folder}"
    )


def _files_of(run: Path, blocks: int) -> float:
    """Mean bytes of the files that come home with a block, packed, from up to 200 blocks."""
    trials = sorted((run / "trials").iterdir())[: 2 * min(blocks, 200)]
    return 2 * sum(len(c) for t in trials for c in pack(t).values()) / len(trials)


def _rate(lines: list[dict[str, Any]]) -> float:
    """Blocks a second from the first trial of the first block to that of the last one."""
    begun = sorted(
        datetime.fromisoformat(record["at"]).timestamp()
        for record in lines
        if record["state"] == "started" and not record["warmup"]
    )
    return len(begun) / 2 / (begun[-1] - begun[0])


def _report(run: Path) -> tuple[float, int]:
    """Seconds and peak bytes of `bench report`, in a process of its own."""
    code = (
        "import sys, resource; from harness import cli; "
        f"cli.main(['report', {str(run)!r}]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return time.monotonic() - begin, int(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
