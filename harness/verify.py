"""Proves that engines do the same work: each is held against a float64 reference.

Nothing is needed of an engine beyond the contract. A job of one batch with plain gradient descent
and a learning rate of 1 gives the gradient as the difference of the weights; a job of one batch and
many epochs gives the loss of each step; a job of many batches gives the weights at their end.
"""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import weights
from harness.check import Fault, read_predictions
from harness.contract import EXIT_UNSUPPORTED, PROTOCOL
from harness.data.cache import DataSet, load_array
from harness.deviation import Deviation, largest
from harness.engines import Engine
from harness.environment import engine_environment
from harness.errors import BenchError
from harness.outcome import conclude
from harness.process import Control, Limits, run_process

TOLERANCES = {"float32": 1e-4, "float64": 1e-9}
# Two classes may be equally likely to within rounding; one image in a hundred is not that.
LEAST_AGREEMENT = 0.99
ORDER_RATE = 0.1  # large enough that the order of a few batches shows in the weights
TEST_IMAGES = 500
# A network with kinks (ReLU, max pooling) can turn rounding into visible differences within some
# hundred steps; then nothing follows from a difference. Whether it does is measured: the float64
# reference runs again from weights changed by what float32 loses in that many steps (6e-8 each,
# adding up as a random walk). The long checks take as many steps as this leaves clear.
ROUNDING = {"float32": 6e-8, "float64": 1.1e-16}
NUDGES = 3
CLEAR = 3


@dataclass(frozen=True)
class Check:
    """One job that engine and reference both do. `failing` says what a deviation in it means."""

    name: str
    batches: float
    epochs: int
    failing: str
    training: dict[str, Any] = field(default_factory=dict)
    losses: bool = False


@dataclass(frozen=True)
class Finding:
    """What one check says of one engine.

    deviation: the largest relative one; None where nothing could be compared. where: a parameter
    ("3.kernel"), a step or an epoch. reason: what it means, or why the engine gave no result.
    """

    engine: str
    check: str
    ok: bool
    deviation: float | None
    tolerance: float
    where: str = ""
    reason: str = ""


class ReferenceFailed(BenchError):
    """The trusted engine did not run; nothing can be compared."""


class NoResult(Exception):
    """An engine that did not do a job of the verification; the message says why."""


@dataclass
class Verifier:
    """Runs the checks of one workload in a folder of its own.

    workload: the `workload` object of jobs (shapes.resolve). reference: the engine that is trusted.
    steps: of the long checks. short: only what `bench run` does before its first trial.
    """

    workload: dict[str, Any]
    dataset: DataSet
    reference: Engine
    folder: Path
    steps: int = 200
    short: bool = False
    threads: int = 1
    seed: int = 0
    limits: Limits = field(default_factory=lambda: Limits(timeout_s=600, sample_interval_s=None))
    control: Control = field(default_factory=Control)
    on_check: Callable[[str, str], None] = lambda engine, check: None

    def __post_init__(self) -> None:
        self.notes: list[str] = []
        self._expected: dict[str, Result] = {}
        self._settled: list[Check] = []
        self.workload = copy.deepcopy(self.workload)
        for index, layer in enumerate(self.workload["model"]["layers"]):
            if layer["type"] == "dropout" and layer["rate"]:
                layer["rate"] = 0.0
                self.notes.append(
                    f"layer {index} (dropout) is verified with rate 0: which inputs are dropped "
                    "is each engine's own choice."
                )

    @property
    def tolerance(self) -> float:
        """The largest relative deviation allowed in the workload's number type."""
        return TOLERANCES[self.workload["training"]["dtype"]]

    def verify(self, engines: Sequence[Engine]) -> list[Finding]:
        """All findings, engine by engine. The reference itself is verified in its own dtype."""
        return [finding for engine in engines for finding in self._engine(engine)]

    def check(self, engine: Engine, name: str) -> Finding:
        """One check of one engine, by the check's name."""
        if name == "predictions":
            return self._predictions(engine)
        return self._check(engine, next(check for check in self._checks() if check.name == name))

    def _engine(self, engine: Engine) -> list[Finding]:
        findings = []
        for check in self._checks():
            self.on_check(engine.name, check.name)
            finding = self._check(engine, check)
            findings.append(finding)
            if finding.deviation is None:  # it does not run: the other checks would say the same
                return findings
        self.on_check(engine.name, "predictions")
        return [*findings, self._predictions(engine)]

    def _check(self, engine: Engine, check: Check) -> Finding:
        expected = self._reference(check)
        try:
            found = self._train(engine, check, self.workload["training"]["dtype"])
        except NoResult as error:
            return Finding(engine.name, check.name, False, None, self.tolerance, "", str(error))
        deviation = self._compare(check, found, expected)
        ok = deviation.size <= self.tolerance
        reason = ""
        if not ok:
            mistake = deviation.hint or self._other_work(check, found)
            reason = f"{check.failing}{f': {mistake}' if mistake else ''}"
        return Finding(
            engine.name, check.name, ok, deviation.size, self.tolerance, deviation.where, reason
        )

    def _checks(self) -> list[Check]:
        """The checks, the long ones as long as rounding leaves them clear; worked out once."""
        if self._settled:
            return self._settled
        for check in checks(self.workload, self.steps, short=self.short):
            if check.name in ("steps", "losses"):
                self.on_check(self.reference.name, f"{check.name}, how sensitive to rounding")
                check = self._clear(check)
            self._settled.append(check)
        return self._settled

    def _clear(self, check: Check) -> Check:
        """The check with its steps halved until rounding alone stays well below the tolerance."""
        steps, moved = self.steps, self._sensitivity(check, self.steps)
        first = moved
        while moved * CLEAR > self.tolerance and steps > 1:
            steps //= 2
            check = next(c for c in checks(self.workload, steps) if c.name == check.name)
            moved = self._sensitivity(check, steps)
        if steps < self.steps:
            self.notes.append(
                f"{check.name}: {steps} steps instead of {self.steps}: by then rounding "
                f"alone moves float64 by {first:.0e}."
            )
        return check

    def _sensitivity(self, check: Check, steps: int) -> float:
        """The largest deviation of the reference from itself when its start is nudged."""
        size = ROUNDING[self.workload["training"]["dtype"]] * steps**0.5
        expected = self._trusted(check)
        return max(
            self._compare(check, self._nudged(check, size, seed), expected).size
            for seed in range(NUDGES)
        )

    def _nudged(self, check: Check, size: float, seed: int) -> Result:
        rng = np.random.default_rng(seed)
        changes = {"start": lambda w: w * (1 + size * rng.uniform(-1, 1, w.shape))}
        return self._train(self.reference, check, "float64", changes)

    def _compare(self, check: Check, found: Result, expected: Result) -> Deviation:
        unit = "step" if check.losses else "epoch"
        # relative to the largest loss: a loss that training has brought near zero has lost digits
        apart = np.abs(np.subtract(found.losses, expected.losses)) / max(expected.losses)
        worst = int(np.argmax(apart))
        loss = Deviation(float(apart[worst]), f"loss of {unit} {worst + 1}")
        if check.losses:
            return loss
        if check.name == "steps":
            parts = largest(found.weights, expected.weights, self.tolerance)
        else:
            parts = largest(found.moved, expected.moved, self.tolerance)
        # the weights say more about a mistake than the loss does
        return parts if parts.size > self.tolerance or parts.size >= loss.size else loss

    def _other_work(self, check: Check, found: Result) -> str:
        """Let the reference make the usual mistakes; name the one that gives what was found."""
        for name, changes in mistakes(check, self.workload["training"]):
            changed = self._trusted(check, changes)
            if largest(found.moved, changed.moved, self.tolerance).size <= 10 * self.tolerance:
                return name
        return ""

    def _predictions(self, engine: Engine) -> Finding:
        """Both classify the same images with the reference's weights after the last check."""
        if not self._expected:
            self._reference(self._checks()[0])
        expected, needed = self._classes(self.reference, "float64"), 1 - LEAST_AGREEMENT
        try:
            found = self._classes(engine, self.workload["training"]["dtype"])
        except NoResult as error:
            return Finding(engine.name, "predictions", False, None, needed, "", str(error))
        share = float(np.mean(found != expected))
        ok = share <= needed
        reason = "" if ok else "classifies differently with equal weights"
        return Finding(engine.name, "predictions", ok, share, needed, "share of images", reason)

    def _reference(self, check: Check) -> Result:
        if check.name not in self._expected:
            self._expected[check.name] = self._trusted(check)
        return self._expected[check.name]

    def _trusted(self, check: Check, changes: dict[str, Any] | None = None) -> Result:
        """The reference's result, of the job or of a changed one. Raises: ReferenceFailed."""
        try:
            return self._train(self.reference, check, "float64", changes)
        except NoResult as error:
            raise ReferenceFailed(
                f"verify: the reference '{self.reference.name}' cannot run this: {error}"
            ) from error

    def _classes(self, engine: Engine, dtype: str) -> np.ndarray:
        folder = self._new_folder(engine)
        workload = self._workload({}, dtype)
        images = load_array(self.dataset.paths["test_images"])[:TEST_IMAGES]
        np.save(folder / "images.npy", images)
        last = list(self._expected.values())[-1]
        weights.save(folder / "weights.npz", {n: w.astype(dtype) for n, w in last.weights.items()})
        job = self._job(engine, "test", workload, folder)
        self._run(engine, job, folder, len(images))
        try:
            return read_predictions(job, len(images))
        except Fault as fault:
            raise NoResult(f"test: {fault.reason}") from fault

    def _train(
        self, engine: Engine, check: Check, dtype: str, changes: dict[str, Any] | None = None
    ) -> Result:
        changes = changes or {}
        folder = self._new_folder(engine)
        workload = self._workload({**check.training, "epochs": check.epochs}, dtype)
        batch = workload["training"]["batch_size"]
        count = min(max(int(check.batches * batch), 1), self.dataset.counts["train"])
        images = load_array(self.dataset.paths["train_images"])[:count]
        labels = load_array(self.dataset.paths["train_labels"])[:count]
        if "keep" in changes:
            images, labels = images[changes["keep"](batch)], labels[changes["keep"](batch)]
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", labels)
        start = weights.initial_weights(workload["model"], self.seed, dtype)
        if "start" in changes:
            start = {name: changes["start"](values) for name, values in start.items()}
        weights.save(folder / "initial.npz", start)
        job = self._job(engine, "train", workload, folder)
        if workload["training"]["shuffle"]:
            order = weights.order(self.seed, check.epochs, len(images))
            order = changes.get("order", lambda given: given)(order)
            np.save(folder / "order.npy", order)
            job["data"]["order"] = str(folder / "order.npy")
        losses = self._run(engine, job, folder, len(images))
        end = weights.load(Path(job["weights"]), workload["model"])
        return Result(start, end, losses)

    def _workload(self, training: dict[str, Any], dtype: str) -> dict[str, Any]:
        changed = {**self.workload["training"], **training, "dtype": dtype}
        return {**self.workload, "training": changed}

    def _new_folder(self, engine: Engine) -> Path:
        folder = self.folder / f"{engine.name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        return folder

    def _job(
        self, engine: Engine, phase: str, workload: dict[str, Any], folder: Path
    ) -> dict[str, Any]:
        training = phase == "train"
        return {
            "protocol": PROTOCOL,
            "phase": phase,
            "engine": engine.name,
            "nonce": secrets.token_hex(16),
            "seed": self.seed,
            "threads": self.threads,
            "workload": workload,
            "data": {
                "images": str(folder / "images.npy"),
                "labels": str(folder / "labels.npy") if training else None,
                "order": None,
            },
            "initial_weights": str(folder / "initial.npz") if training else None,
            "weights": str(folder / "weights.npz"),
            "predictions": None if training else str(folder / "predictions.npy"),
            "report": str(folder / "report.jsonl"),
        }

    def _run(self, engine: Engine, job: dict[str, Any], folder: Path, examples: int) -> list[float]:
        """Run one process; returns the losses of its epochs. Raises: NoResult."""
        path = folder / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        cache = self.folder / "cache" / engine.name
        cache.mkdir(parents=True, exist_ok=True)
        seen = run_process(
            [*engine.command, job["phase"], "--job", str(path)],
            folder,
            engine_environment(cache, threads=self.threads),
            report=Path(job["report"]),
            limits=self.limits,
            control=self.control,
        )
        result = conclude(seen, job, folder, self.limits, examples)
        if result.exit_code == EXIT_UNSUPPORTED:
            lines = result.stderr_tail.strip().splitlines()
            raise NoResult(lines[-1] if lines else "unsupported workload")
        if result.outcome != "ok":
            raise NoResult(f"{job['phase']}: {result.outcome}: {result.reason}")
        return [float(epoch.loss or 0.0) for epoch in result.epochs]


@dataclass(frozen=True)
class Result:
    """Weights before and after a job, and the loss of each epoch."""

    start: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    losses: list[float]

    @property
    def moved(self) -> dict[str, np.ndarray]:
        """How far each parameter moved: the gradient, where one step had a learning rate of 1."""
        return {name: self.start[name] - end for name, end in self.weights.items()}


def checks(workload: dict[str, Any], steps: int, *, short: bool = False) -> list[Check]:
    """The checks of a workload, the most telling first: one mistake shows in all after it."""
    batch = workload["training"]["batch_size"]
    plain = {"optimizer": "sgd", "momentum": 0.0}
    one = {**plain, "learning_rate": 1.0, "shuffle": False}
    few = {**plain, "learning_rate": ORDER_RATE}
    rest = (batch - 1) // 2 / batch  # a short last batch, where a batch can be short
    if short:  # everything in one job; `bench verify` says which part of it is wrong
        return [Check("order", 4 + rest, 2, "not the same work; `bench verify` says more", few)]
    found = [Check("gradient", 1, 1, "the gradient of the first step is wrong", one)]
    if rest:
        failing = "the short last batch is not used as the contract says"
        found.append(Check("last batch", 1 + rest, 1, failing, one))
    failing = "the images come in another order, or steps after the first differ"
    found.append(Check("order", 4 + rest, 2, failing, few))
    found.append(Check("steps", steps, 1, f"the weights after {steps} steps differ"))
    failing = "the loss of a step differs"
    found.append(Check("losses", 1, steps, failing, {"shuffle": False}, losses=True))
    return found


def mistakes(check: Check, training: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Usual mistakes in the handling of batches, as changes to what the reference is given."""
    if check.name == "last batch":
        return [("the short last batch was dropped", {"keep": lambda batch: slice(0, batch)})]
    if check.name != "order":
        return []
    if not training["shuffle"]:
        return [
            ("the images were taken backwards", {"keep": lambda batch: slice(None, None, -1)}),
        ]
    return [
        ("the order array was ignored", {"order": lambda given: np.sort(given, axis=1)}),
        (
            "the first epoch's order was used in all",
            {"order": lambda given: given[[0] * len(given)]},
        ),
        ("the order was taken backwards", {"order": lambda given: given[:, ::-1]}),
        ("the order array was read as its inverse", {"order": _inverse}),
    ]


def _inverse(order: np.ndarray) -> np.ndarray:
    return np.argsort(order, axis=1).astype(order.dtype)


def document(findings: Sequence[Finding], notes: Sequence[str]) -> dict[str, Any]:
    """Findings as JSON-ready data: for `--format json` and for a run's manifest."""
    return {
        "ok": all(finding.ok for finding in findings),
        "notes": list(notes),
        "findings": [asdict(finding) for finding in findings],
    }
