"""The job of one process: what JOB.json holds (docs/engines.md has each entry), and running it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.machine.environment import engine_environment
from harness.process import sandbox
from harness.process.checkpoints import Folder
from harness.process.supervise import Control, Limits, run_process
from harness.records.models import ProcessResult
from harness.safe import files
from harness.trial.outcome import conclude
from harness.workload.rates import needs_protocol_2
from harness.workload.start import file_cap

Process = Literal["train", "test"]
CHECKPOINTS = "checkpoints"  # the engine's folder for them, inside its own
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
    learning_rates: Path | None = None,
    checkpoints: bool = False,
    initial_weights: Path | None = None,
    seed: int = 0,
    threads: int = 1,
    profile: int | None = None,
) -> dict[str, Any]:
    """A job with a nonce of its own; report and predictions go to `folder`.

    images, labels, order, learning_rates, initial_weights: what the engine reads; all but the first
    in training only, as the labels of the test images stay with the harness. weights: written by
    training, read by testing. checkpoints: the engine is to leave the weights after each epoch.
    profile: steps of the last epoch, which is to be profiled.
    """
    more = checkpoints or needs_protocol_2(workload["training"])
    predictions = folder / "predictions.npy" if process == "test" else None
    return {
        "protocol": 2 if more and process == "train" else 1,
        "phase": process,  # the contract's word
        "engine": engine,
        "nonce": secrets.token_hex(16),
        "seed": seed,
        "threads": threads,
        "workload": workload,
        "data": {
            "images": str(images),
            "labels": _text(labels),
            "order": _text(order),
            "learning_rates": _text(learning_rates),
        },
        "initial_weights": _text(initial_weights),
        "weights": str(weights),
        "checkpoints": str(folder / CHECKPOINTS) if checkpoints else None,
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
    kept: Path | None = None,
    sandboxed: bool = False,
    on_tick: Callable[[], None] = lambda: None,
) -> ProcessResult:
    """Write a job into `folder`, run the engine on it there, and say how that ended.

    Args:
        asked: as `job` returns it. command: the engine's argument list, without the job's.
        cache: the engine's folder for compile caches, made if it is not there.
        examples: how many images the job trains on; each epoch must have seen them all.
        kept: the folder for copies of its checkpoints, where the job asks for any.
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
    checkpoints = _checkpoints(asked, folder, kept)
    seen = run_process(
        started,
        folder,
        engine_environment(cache, threads=asked["threads"], sandboxed=sandboxed),
        report=Path(asked["report"]),
        limits=limits,
        control=control,
        checkpoints=checkpoints,
        on_tick=on_tick,
    )
    if sandboxed:
        seen.ended = sandbox.ended(seen.ended)
    result = conclude(seen, asked, folder, limits, examples, kept)
    if checkpoints is not None:
        files.remove(folder, checkpoints.engine.name)  # what counts was read as it appeared
    return result


def _checkpoints(asked: dict[str, Any], folder: Path, kept: Path | None) -> Folder | None:
    """Empty folders for checkpoints; None where the job asks for none."""
    if asked["checkpoints"] is None:
        return None
    assert kept is not None, "whoever asks for checkpoints says where they are kept"
    for place in (Path(asked["checkpoints"]), kept):
        files.remove(place.parent, place.name)
        files.folder(place.parent, place.name)
    epochs = asked["workload"]["training"]["epochs"]
    return Folder(folder / CHECKPOINTS, kept, epochs, file_cap(asked["workload"]["model"]))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
