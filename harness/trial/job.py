"""The job of one process: what JOB.json holds (docs/engines.md has each entry), and running it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.contract import PROTOCOL
from harness.machine.environment import engine_environment
from harness.process import sandbox
from harness.process.supervise import Control, Limits, run_process
from harness.records.models import ProcessResult
from harness.safe import files
from harness.trial.outcome import conclude

Process = Literal["train", "test"]
ROOT = Path(__file__).resolve().parents[2]  # of the project, which engines may import


def job(
    process: Process,
    engine: str,
    workload: dict[str, Any],
    folder: Path,
    *,
    images: Path,
    weights: Path,
    labels: Path | None = None,
    order: Path | None = None,
    initial_weights: Path | None = None,
    seed: int = 0,
    threads: int = 1,
    profile: int | None = None,
) -> dict[str, Any]:
    """A job with a nonce of its own; report and predictions go to `folder`.

    images, labels, order, initial_weights: what the engine reads; the last three in training only,
    as the labels of the test images stay with the harness. weights: written by training, read by
    testing. profile: steps of the last epoch, which is to be profiled.
    """
    predictions = folder / "predictions.npy" if process == "test" else None
    return {
        "protocol": PROTOCOL,
        "phase": process,  # the contract's word
        "engine": engine,
        "nonce": secrets.token_hex(16),
        "seed": seed,
        "threads": threads,
        "workload": workload,
        "data": {"images": str(images), "labels": _text(labels), "order": _text(order)},
        "initial_weights": _text(initial_weights),
        "weights": str(weights),
        "predictions": _text(predictions),
        "report": str(folder / "report.jsonl"),
        "profile": None if profile is None else {"steps": profile},
    }


def run_job(
    asked: dict[str, Any],
    command: Sequence[str],
    folder: Path,
    cache: Path,
    *,
    examples: int,
    limits: Limits,
    control: Control,
    sandboxed: bool = False,
    on_tick: Callable[[], None] = lambda: None,
) -> ProcessResult:
    """Write a job into `folder`, run the engine on it there, and say how that ended.

    Args:
        asked: as `job` returns it. command: the engine's argument list, without the job's.
        cache: the engine's folder for compile caches, made if it is not there.
        examples: how many images the job trains on; each epoch must have seen them all.
        sandboxed: keep it from the network, and from writing anywhere but to its two folders.
        on_tick: called often while the process runs.
    """
    path = folder / "job.json"
    files.replace(path, (json.dumps(asked, indent=1) + "\n").encode())
    if not files.is_folder(cache):  # an engine may have left something else there
        files.remove(cache.parent, cache.name)
    files.folder(cache.parent, cache.name)
    started = [*command, asked["phase"], "--job", str(path)]
    if sandboxed:
        needed = [*sandbox.needs(asked, command), ROOT]
        started = sandbox.wrapped(started, [folder, cache.absolute()], needed)
    seen = run_process(
        started,
        folder,
        engine_environment(cache, threads=asked["threads"], sandboxed=sandboxed),
        report=Path(asked["report"]),
        limits=limits,
        control=control,
        on_tick=on_tick,
    )
    if sandboxed:
        seen.ended = sandbox.ended(seen.ended)
    return conclude(seen, asked, folder, limits, examples)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
