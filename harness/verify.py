"""Proves that engines do the same work: each is held against a float64 reference.

Nothing is needed of an engine beyond the contract. A job of one batch with plain gradient descent
and a learning rate of 1 gives the gradient as the difference of the weights; a job of one batch and
many epochs gives the loss of each step; a job of many batches gives the weights at their end.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache import DataSet
from harness.deviation import Deviation, largest
from harness.engines import Engine
from harness.errors import BenchError
from harness.process import Control
from harness.verify_checks import ORDER_TRIES, Check, checks, mistakes
from harness.verify_jobs import Jobs, NoResult, Result

TOLERANCES = {"float32": 1e-4, "float64": 1e-9}
# Two classes may be equally likely to within rounding; one image in a hundred is not that.
LEAST_AGREEMENT = 0.99
# A network with kinks (ReLU, max pooling) can turn rounding into visible differences within some
# hundred steps; then nothing follows from a difference. Whether it does is measured: the float64
# reference runs again from weights changed by what a number type loses in that many steps (a few
# units in the last place each, since sums are long; adding up as a random walk). The long checks
# take as many steps as this leaves clear, the check of the order takes other images.
ROUNDING = {"float32": 4e-7, "float64": 8e-16}
NUDGES = 3
MOST_ALLOWED = 0.03  # of the movement; images in another order move it by more
CLEAR = 3


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
        self._jobs = Jobs(
            self.workload, self.dataset, self.folder, self.threads, control=self.control
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
            found = self._jobs.train(engine, check, self.workload["training"]["dtype"])
        except NoResult as error:
            return Finding(engine.name, check.name, False, None, self.tolerance, "", str(error))
        deviation = self._compare(check, found, expected)
        allowed = check.allowed or self.tolerance
        ok = deviation.size <= allowed
        reason = ""
        if not ok:
            mistake = deviation.hint or self._other_work(check, found)
            reason = f"{check.failing}{f': {mistake}' if mistake else ''}"
        return Finding(
            engine.name, check.name, ok, deviation.size, allowed, deviation.where, reason
        )

    def _checks(self) -> list[Check]:
        """The checks, the long ones as long as rounding leaves them clear; worked out once."""
        if self._settled:
            return self._settled
        for check in checks(self.workload, self.steps, short=self.short):
            self.on_check(self.reference.name, f"{check.name}, how sensitive to rounding")
            if check.name in ("steps", "losses"):
                check = self._clear(check)
            elif check.name == "order":
                check = self._clear_order(check)
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

    def _clear_order(self, check: Check) -> Check:
        """The check of the order, with images and a learning rate that rounding leaves clear."""
        tries = []
        for rate, place in ORDER_TRIES:
            training = {**check.training, "learning_rate": rate}
            check = dataclasses.replace(check, training=training, place=place)
            moved = self._sensitivity(check, round(check.batches * check.epochs))
            if moved * CLEAR <= self.tolerance:
                return check
            tries.append((moved, check))
        # near ties in max pooling show at once; another order shows far more than that
        moved, check = min(tries, key=lambda found: found[0])
        allowed = min(10 * moved, MOST_ALLOWED)
        self.notes.append(
            f"order: {allowed:.0e} is allowed: rounding alone moves float64 by {moved:.0e}."
        )
        return dataclasses.replace(check, allowed=max(allowed, self.tolerance))

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
        return self._trusted(check, changes)

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
        trained, needed = self._reference(self._checks()[-1]).weights, 1 - LEAST_AGREEMENT
        expected = self._jobs.classes(self.reference, "float64", trained)
        try:
            found = self._jobs.classes(engine, self.workload["training"]["dtype"], trained)
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
            return self._jobs.train(self.reference, check, "float64", changes)
        except NoResult as error:
            raise ReferenceFailed(
                f"verify: the reference '{self.reference.name}' cannot run this: {error}"
            ) from error


def document(findings: Sequence[Finding], notes: Sequence[str]) -> dict[str, Any]:
    """Findings as JSON-ready data: for `--format json` and for a run's manifest."""
    return {
        "ok": all(finding.ok for finding in findings),
        "notes": list(notes),
        "findings": [asdict(finding) for finding in findings],
    }
