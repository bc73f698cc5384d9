"""Synthetic runs: folders written through the record models, with numbers that the test gives."""

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.records.manifest import EngineEntry, Manifest
from harness.records.models import Epoch, Memory, Planned, ProcessResult, Trial, Witnesses
from harness.records.store import RECORDS, write_manifest
from harness.workload.format import load

BASE = {"myad": 0.4, "tensorflow": 160.0}


def process(name, wall, loop, *, peak, outcome="ok", epochs=3):
    """One process of `wall` seconds, of which `loop` are the training or testing loop."""
    rest = wall - loop
    phases = {"import": 0.4 * rest, "load": 0.2 * rest, "compile": 0.2 * rest, name: loop}
    losses = [0.62, 0.42, 0.37, 0.35][:epochs] if name == "train" else []
    return ProcessResult(
        outcome=outcome,
        reason="" if outcome == "ok" else f"{outcome} after {wall:.3g} s",
        wall_s=wall,
        outer_wall_s=wall + 0.002,
        user_s=0.95 * wall,
        system_s=0.03 * wall,
        cpu_ratio=0.98,
        peak_rss=Memory(bytes=peak, method="wait4 ru_maxrss", bound="exact"),
        phases=phases,
        start_up_and_exit_s=wall - sum(phases.values()),
        epochs=[
            Epoch(epoch=k, seconds=loop / len(losses), loss=loss, examples=60_000)
            for k, loss in enumerate(losses, start=1)
        ],
        versions={"numpy": "2.4"},
        stderr_tail="" if outcome == "ok" else "Traceback:\n  <b>boom</b>\n",
        witnesses=Witnesses(load_before=0.1),
    )


def trial(planned, wall, *, accuracy=0.914, outcome="ok", peak=None, disturbed=False, epochs=3):
    """A finished trial that trained for `wall` seconds and tested for a tenth of that."""
    peak = peak or (int(1.2e9) if planned.engine == "tensorflow" else int(6e7))
    ok = outcome == "ok"
    return Trial(
        **planned.model_dump(),
        state="finished",
        at="2026-01-02T03:04:05+00:00",
        train=process("train", wall, 0.8 * wall, peak=peak, outcome=outcome, epochs=epochs),
        test=process("test", 0.1 * wall, 0.05 * wall, peak=peak // 2) if ok else None,
        accuracy=accuracy if ok else None,
        correct=round(10_000 * accuracy) if ok else None,
        test_count=10_000 if ok else None,
        valid=ok,
        failure="" if ok else f"train: {outcome}",
        disturbed=disturbed,
        disturbances=["load 3.2"] if disturbed else [],
    )


def manifest(engines, blocks, *, run="made", preset="paper", schedule_seed=5, **changes):
    """A manifest with a shuffled schedule."""
    order = np.random.default_rng(schedule_seed)
    schedule = [
        Planned(id=f"{block}-{engines[e]}", block=block, slot=slot, engine=engines[e], seed=block)
        for block in range(blocks)
        for slot, e in enumerate(order.permutation(len(engines)))
    ]
    given = {
        "run": run,
        "preset": preset,
        "created": "2026-01-02T03:04:05+00:00",
        "command_line": ["bench", "run", "--preset", preset],
        "workload": load("paper").document(),
        "engines": [
            EngineEntry(name=name, command=["python", f"engine_{name}.py"], source="file")
            for name in engines
        ],
        "repeats": blocks,
        "seeds": list(range(blocks)),
        "schedule": schedule,
        "host": {"cpu": "Test CPU", "cores": 2, "memory_bytes": 8_000_000_000},
        "versions": {"python": "3.11"},
        "packages": {"numpy": "2.4"},
        "data": {},
        "verification": {"ok": True, "findings": []},
    }
    return Manifest(**{**given, **changes})


def write_run(folder, made_manifest, trials):
    """Write manifest and records, as `bench run` would."""
    folder.mkdir(parents=True)
    write_manifest(folder, made_manifest)
    lines = "".join(t.model_dump_json() + "\n" for t in trials)
    (folder / RECORDS).write_text(lines, encoding="utf-8")
    return folder


def write_timeline(folder, planned, wall, peak):
    """A memory timeline like the sampler's."""
    path = folder / "trials" / planned.id / "train"
    path.mkdir(parents=True)
    with (path / "memory.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t_s", "rss_bytes", "pss_bytes", "processes", "threads", "phase_ended"])
        for k in range(60):
            writer.writerow([wall * k / 59, int(peak * min(1, 0.3 + k / 20)), "", 1, 1, ""])


@pytest.fixture
def make_run(tmp_path):
    """make_run(seconds={"myad": 0.4, ...}, blocks=10, noise=0.02, ...) -> the run's folder.

    seconds: engine -> training seconds, a number for all blocks or one per block.
    fail: ids of trials -> outcome. stop: how many trials finished. disturbed: ids.
    """

    def make(
        seconds=None,
        blocks=10,
        *,
        name="made",
        noise=0.02,
        seed=1,
        fail=None,
        stop=None,
        disturbed=(),
        accuracy=0.914,
        timelines=True,
        epochs=3,
        **changes,
    ) -> Path:
        seconds = BASE if seconds is None else seconds
        rng = np.random.default_rng(seed)
        plan = manifest(list(seconds), blocks, run=Path(name).name, **changes)
        trials = []
        for planned in plan.schedule[:stop]:
            base = np.broadcast_to(seconds[planned.engine], blocks)[planned.block]
            wall = float(base * np.exp(noise * rng.standard_normal()))
            trials.append(
                trial(
                    planned,
                    wall,
                    accuracy=accuracy + 1e-4 * float(rng.integers(-9, 10)),
                    outcome=(fail or {}).get(planned.id, "ok"),
                    disturbed=planned.id in disturbed,
                    epochs=epochs,
                )
            )
        folder = write_run(tmp_path / "results" / name, plan, trials)
        for planned in plan.schedule[: len(seconds) if timelines else 0]:
            base = float(np.broadcast_to(seconds[planned.engine], blocks)[planned.block])
            write_timeline(folder, planned, base, 1e9 if planned.engine == "tensorflow" else 6e7)
        return folder

    return make
