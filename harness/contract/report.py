"""The report of one process: JSON lines, appended as things happen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.contract.job import ContractError

PHASES = ("import", "load", "build", "compile", "train", "test", "save")


class Report:
    """Appends the engine's events to the report file of its job, one JSON object per line."""

    def __init__(self, path: str | Path, nonce: str) -> None:
        self._path, self._nonce = Path(path), nonce
        self._open_phase: str | None = None
        self._seen: set[str] = set()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the work. Phases are not nested and each occurs at most once."""
        if name not in PHASES:
            raise ContractError(f"report: no phase '{name}'; allowed: {', '.join(PHASES)}.")
        if self._open_phase is not None:
            raise ContractError(f"report: phase '{name}' inside phase '{self._open_phase}'.")
        if name in self._seen:
            raise ContractError(f"report: phase '{name}' a second time.")
        self._open_phase = name
        self._seen.add(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._open_phase = None
        self._append({"event": "phase", "name": name, "seconds": seconds})

    def epoch(self, epoch: int, *, seconds: float, loss: float, examples: int) -> None:
        """Report one epoch: its number from 1, its time, its mean loss per example.

        A loss that is not finite is reported as it is; the harness then says `not_finite`.
        """
        self._append(
            {
                "event": "epoch",
                "epoch": int(epoch),
                "seconds": float(seconds),
                "loss": float(loss),
                "examples": int(examples),
            }
        )

    def ops(
        self,
        name: str,
        kind: str,
        part: str | None = None,
        layer: int | None = None,
        *,
        calls: int,
        seconds: float,
        flop: float | None = None,
        bytes: float | None = None,
        slices: Sequence[tuple[float, float]] = (),
    ) -> None:
        """Report an operation of the profiled epoch: all its calls together.

        Args: kind: one of `ops.CLASSES`. part: one of `ops.PASSES`. layer: its index in the model.
            seconds: its own, without those of operations within it. flop, bytes: of all calls,
            where they are known. slices: when some of it ran: (start, seconds), from the
            beginning of the epoch.
        """
        event = {
            "event": "ops",
            "name": str(name)[:200],
            "class": kind,
            "pass": part,
            "layer": layer,
            "calls": int(calls),
            "seconds": max(float(seconds), 0.0),
        }
        known = {"flop": flop, "bytes": bytes, "slices": [list(pair) for pair in slices] or None}
        self._append({**event, **{key: value for key, value in known.items() if value is not None}})

    def done(
        self,
        *,
        parameters: int,
        layers: list[str],
        dtype: str,
        batch_size: int,
        threads: int,
        versions: dict[str, str],
    ) -> None:
        """Close the report with what was really done, as the engine's own objects say it.

        `batch_size` is the one used in this phase: training's in `train`, testing's in `test`.
        """
        self._append(
            {
                "event": "done",
                "nonce": self._nonce,
                "parameters": int(parameters),
                "layers": list(layers),
                "dtype": str(dtype),
                "batch_size": int(batch_size),
                "threads": int(threads),
                "versions": dict(versions),
            }
        )

    def _append(self, event: dict[str, Any]) -> None:
        # opened for each line: an engine that forks or changes its working folder keeps no handle
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
