"""Proves that engines do the same work: each is held against a float64 reference.

Nothing is needed of an engine beyond the contract. A job of one batch with plain gradient descent
and a learning rate of 1 gives the gradient as the difference of the weights; a job of one batch and
many epochs gives the loss of each step; a job of many batches gives the weights at their end.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache import DataSet
from harness.errors import BenchError
from harness.process.supervise import Control
from harness.trial.engines import Engine
from harness.verify.checks import Check, checks, mistakes
from harness.verify.deviation import Deviation, largest
from harness.verify.jobs import LONGEST_S, Jobs, NoResult, Result
from harness.verify.rounding import CLEAR, NUDGES, Search, nudged, variants

TOLERANCES = {"float32": 1e-4, "float64": 1e-9}
# Two classes may be equally likely to within rounding; one image in a hundred is not that.
LEAST_AGREEMENT = 0.99
MOST_ALLOWED = 0.03  # of the movement, where rounding leaves no job clear


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
    timeout_s: of every process of an engine; the reference has time.
    """

    workload: dict[str, Any]
    dataset: DataSet
    reference: Engine
    folder: Path
    steps: int = 200
    short: bool = False
    threads: int = 1
    timeout_s: float = LONGEST_S
    sandboxed: bool = False
    control: Control = field(default_factory=Control)
    on_check: Callable[[str, str], None] = lambda engine, check: None
    on_engine: Callable[[int, int, str], None] = lambda number, count, engine: None

    def __post_init__(self) -> None:
        self.notes: list[str] = []
        self._expected: dict[str, Result] = {}
        self._settled: list[Check] = []
        self._searches: dict[str, Search] = {}
        self.workload = copy.deepcopy(self.workload)
        for index, layer in enumerate(self.workload["model"]["layers"]):
            if layer["type"] == "dropout" and layer["rate"]:
                layer["rate"] = 0.0
                self.notes.append(
                    f"layer {index} (dropout) is verified with rate 0: which inputs are dropped "
                    "is each engine's own choice."
                )
        self._jobs = Jobs(
            self.workload,
            self.dataset,
            self.folder,
            self.threads,
            timeout_s=min(self.timeout_s, LONGEST_S),
            trusted=self.reference.name,
            sandboxed=self.sandboxed,
            control=self.control,
        )

    def verify(self, engines: Sequence[Engine]) -> list[Finding]:
        """All findings, engine by engine. The reference itself is verified in its own dtype."""
        findings = []
        for number, engine in enumerate(engines, start=1):
            self.on_engine(number, len(engines), engine.name)
            findings += self._engine(engine)
        return findings

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
            if not finding.ok and finding.deviation is None:
                return findings  # it does not run: the other checks would say the same
        self.on_check(engine.name, "predictions")
        return [*findings, self._predictions(engine)]

    def _check(self, engine: Engine, check: Check) -> Finding:
        finding = self._held_against(engine, check)
        if finding.ok or finding.deviation is None or not check.steps:
            return finding
        # An engine that adds up in another order can meet a kink where the reference did not. A
        # mistake shows on any images, a kink hardly ever on others that rounding leaves clear, too.
        other = self._searches[check.name].clear(1)
        if other is None or other.steps < check.steps:
            return finding
        second = self._held_against(engine, other)
        if not second.ok:
            return finding
        return replace(second, reason=f"on other images; {finding.deviation:.0e} on the first")

    def _held_against(self, engine: Engine, check: Check) -> Finding:
        expected = self._reference(check)
        dtype, allowed = self._dtype(check), check.allowed or self._tolerance(check)
        try:
            found = self._jobs.train(engine, check, dtype)
        except NoResult as error:
            # float64 is asked for by the check, not by the workload: an engine need not have it
            optional = check.dtype is not None and str(error).startswith("unsupported:")
            return Finding(engine.name, check.name, optional, None, allowed, "", str(error))
        deviation = self._compare(check, found, expected)
        ok, reason = deviation.size <= allowed, ""
        if not ok:
            mistake = deviation.hint or self._other_work(check, found)
            reason = f"{check.failing}{f': {mistake}' if mistake else ''}"
        return Finding(
            engine.name, check.name, ok, deviation.size, allowed, deviation.where, reason
        )

    def _checks(self) -> list[Check]:
        """The checks, as jobs that rounding leaves clear; worked out once."""
        if not self._settled:
            for check in checks(self.workload, self.steps, short=self.short):
                self.on_check(self.reference.name, f"{check.name}, how sensitive to rounding")
                jobs = variants(check, self.workload, self._jobs.places)
                search = Search(jobs, self._rounding, self._tolerance(check))
                self._searches[check.name] = search
                self._settled.append(self._settle(check, search))
        return self._settled

    def _settle(self, asked: Check, search: Search) -> Check:
        """The first clear job of a check, or the clearest; with a note where it is a lesser one."""
        found, dtype = search.clear(0), self._dtype(asked)
        if found is None:
            nearest = search.clearest()
            allowed = max(min(10 * nearest.moved, MOST_ALLOWED), self._tolerance(asked))
            self.notes.append(
                f"{asked.name}: {allowed:.0e} is allowed: rounding alone moves {dtype} by "
                f"{nearest.moved:.0e}."
            )
            return replace(nearest.check, allowed=allowed)
        if found.steps < asked.steps:
            least = min(one.moved for one in search.tried if one.check.steps == asked.steps)
            self.notes.append(
                f"{asked.name}: {found.steps} steps instead of {asked.steps}: over those, rounding "
                f"alone moves {dtype} by {least:.0e} or more."
            )
        return found

    def _rounding(self, check: Check) -> float:
        """The largest deviation of the reference in the engine's number type, nudged, from itself.

        No smaller than what matters: it ends with the first that is not clear.
        """
        expected, dtype, moved = self._reference(check), self._dtype(check), 0.0
        for seed in range(NUDGES):
            found = self._trusted(check, {"start": nudged(dtype, seed)}, dtype)
            moved = max(moved, self._compare(check, found, expected).size)
            if moved * CLEAR > self._tolerance(check):
                del self._expected[repr(check)]  # large, and not needed again
                break
        return moved

    def _dtype(self, check: Check) -> str:
        return check.dtype or str(self.workload["training"]["dtype"])

    def _tolerance(self, check: Check) -> float:
        return TOLERANCES[self._dtype(check)]

    def _compare(self, check: Check, found: Result, expected: Result) -> Deviation:
        unit = "step" if check.losses else "epoch"
        # relative to the largest loss: a loss that training has brought near zero has lost digits
        apart = np.abs(np.subtract(found.losses, expected.losses)) / max(expected.losses)
        worst = int(np.argmax(apart))
        loss = Deviation(float(apart[worst]), f"loss of {unit} {worst + 1}")
        if check.losses:
            return loss
        if check.steps:
            parts = largest(found.weights, expected.weights, self._tolerance(check))
        else:
            parts = largest(found.moved, expected.moved, self._tolerance(check))
        # the weights say more about a mistake than the loss does
        return parts if parts.size > self._tolerance(check) or parts.size >= loss.size else loss

    def _other_work(self, check: Check, found: Result) -> str:
        """Let the reference make the usual mistakes; name the one that gives what was found."""
        tolerance = self._tolerance(check)
        for name, changes in mistakes(check, self.workload["training"]):
            changed = self._trusted(check, changes)
            if largest(found.moved, changed.moved, tolerance).size <= 10 * tolerance:
                return name
        return ""

    def _predictions(self, engine: Engine) -> Finding:
        """Both classify the same images with the reference's weights after the last check."""
        needed = 1 - LEAST_AGREEMENT
        try:
            found = self._jobs.classes(engine, self.workload["training"]["dtype"], self._trained)
        except NoResult as error:
            return Finding(engine.name, "predictions", False, None, needed, "", str(error))
        share = float(np.mean(found != self._classes))
        ok = share <= needed
        reason = "" if ok else "classifies differently with equal weights"
        return Finding(engine.name, "predictions", ok, share, needed, "share of images", reason)

    @cached_property
    def _trained(self) -> dict[str, np.ndarray]:
        return self._reference(self._checks()[-1]).weights

    @cached_property
    def _classes(self) -> np.ndarray:
        return self._jobs.classes(self.reference, "float64", self._trained)

    def _reference(self, check: Check) -> Result:
        if repr(check) not in self._expected:
            self._expected[repr(check)] = self._trusted(check)
        return self._expected[repr(check)]

    def _trusted(
        self, check: Check, changes: dict[str, Any] | None = None, dtype: str = "float64"
    ) -> Result:
        """The reference's result, of the job or of a changed one. Raises: ReferenceFailed."""
        try:
            return self._jobs.train(self.reference, check, dtype, changes)
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
