"""The job of one process: what JOB.json holds (docs/engines.md describes each entry)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Literal

from harness.contract import PROTOCOL

Process = Literal["train", "test"]


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
) -> dict[str, Any]:
    """A job with a nonce of its own; report and predictions go to `folder`.

    images, labels, order, initial_weights: what the engine reads; the last three in training only,
    as the labels of the test images stay with the harness. weights: written by training, read by
    testing.
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
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
