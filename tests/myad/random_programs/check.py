"""One random program, held against eager: recorded, interpreted, native, on several machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myad import Tensor
from myad.compile.llvm.native import host
from myad.compile.program.program import Program
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.errors import CompileError, MyadError
from tests.myad.random_programs.machines import FILLINGS, Arrays, Function, Training
from tests.myad.random_programs.program import RandomProgram
from tests.myad.random_programs.refusals import kind_of
from tests.myad.random_programs.rounding import Moved, mismatch
from tests.myad.random_programs.small import SMALL, small_thresholds

MACHINES = (SMALL, *(m for m in (Machine(16, 16), Machine(32, 16), Machine(64, 32))
                     if m.vector_bytes <= host().vector_bytes))  # fmt: skip
THREADS = 3
SAMPLES, MORE = 4, 60  # runs with other rounding, and how many where those do not explain


@dataclass
class Verdict:
    """What became of a program: `refused` says why it was not compiled, `failed` what is wrong."""

    program: RandomProgram
    refused: str = ""
    failed: str = ""
    primitives: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"seed {self.program.seed}: {self.failed or self.refused or 'right'}"


class _Failure(Exception):
    """A difference; the text says where."""


def check(program: RandomProgram, machines: Sequence[Machine] = MACHINES) -> Verdict:
    """Run `program` in every way there is and compare.

    Raises nothing: whatever the code under test raises is part of the verdict.
    """
    verdict = Verdict(program)
    stage = "eager"
    try:
        with np.errstate(all="ignore"):
            wanted = eager(program)
            stage = "recorded"
            recorded, _ = trace(program.function(), *program.inputs.values())
            verdict.primitives = frozenset(step.op.name for step in recorded.steps)
            sampler = Sampler(program, recorded)
            sampler.compare(stage, run(program, recorded.run), wanted)
            for machine in machines:
                stage = f"{8 * machine.vector_bytes}-bit vectors"
                stage += ", small caches" if machine is SMALL else ""
                with small_thresholds() if machine is SMALL else nullcontext():
                    _on(machine, stage, program, sampler, wanted)
    except _Failure as failure:
        verdict.failed = str(failure)
    except CompileError as refusal:
        verdict.refused = kind_of(str(refusal)) or ""
        if not verdict.refused:
            verdict.failed = f"{stage}: refused without need: {_first_line(refusal)}"
    except MyadError as refusal:
        if stage == "eager":
            verdict.refused = "refused by eager"
        else:
            verdict.failed = (
                f"{stage}: {type(refusal).__name__}, not eagerly: {_first_line(refusal)}"
            )
    except Exception as fault:
        verdict.failed = f"{stage}: {type(fault).__name__}: {_first_line(fault)}"
    return verdict


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def eager(program: RandomProgram) -> Arrays:
    """The results, run on tensors."""
    function = program.function()

    def one(*values: np.ndarray) -> Arrays:
        return [r.value if isinstance(r, Tensor) else np.asarray(r)
                for r in function(*map(Tensor, values))]  # fmt: skip

    return run(program, one)


def run(program: RandomProgram, one: Callable[..., Sequence[Any]]) -> Arrays:
    """The results after all steps, of which `one` makes one.

    Those of a training program are the mean loss and the new state.
    """
    values = list(program.inputs.values())
    results: Arrays = []
    losses = []
    for step in range(program.steps):
        for name in program.streams:
            values[program.names.index(name)] = program.batch(name, step)
        results = [np.array(r) for r in one(*values)]
        losses.append(results[0])
        for out, into in program.places.items():
            values[into] = results[out]
    if not program.streams:
        return results
    return [np.asarray(np.mean(losses, dtype=float)), *[results[out] for out in program.state]]


class Sampler:
    """What rounding may make of the results; more samples are drawn where a few do not explain."""

    def __init__(self, program: RandomProgram, recorded: Program) -> None:
        self._program, self._moved = program, Moved(recorded, program.seed)
        self._samples: list[Arrays] = []

    def compare(self, where: str, got: Arrays, want: Arrays) -> None:
        """Raise _Failure if a result differs by more than rounding explains."""
        for count in (SAMPLES, SAMPLES + MORE):
            while len(self._samples) < count:
                self._samples.append(run(self._program, self._moved.run))
            wrong = self._first_wrong(got, want)
            if not wrong:
                return
        raise _Failure(f"{where}: {wrong}")

    def _first_wrong(self, got: Arrays, want: Arrays) -> str:
        for n, (one, other) in enumerate(zip(got, want, strict=True)):
            if text := mismatch(one, other, [sample[n] for sample in self._samples]):
                return f"result {n}: {text}"
        return ""


def _on(
    machine: Machine, where: str, program: RandomProgram, sampler: Sampler, wanted: Arrays
) -> None:
    compiled = (Training if program.streams else Function)(program, machine)
    sampler.compare(f"{where}, interpreted", compiled.interpreted(), wanted)
    native = compiled.native()
    first, *others = [native(filling, 1) for filling in FILLINGS]
    sampler.compare(f"{where}, native", first, wanted)
    for filling, results in zip(list(FILLINGS)[1:], others, strict=True):
        _same_bits(f"{where}, native", f"in memory full of {filling}", first, results)
    if any(code.units for code in compiled.plan.codes):
        _same_bits(f"{where}, native", f"with {THREADS} threads", first, native("NaN", THREADS))


def _same_bits(where: str, how: str, first: Arrays, others: Arrays) -> None:
    for n, (one, other) in enumerate(zip(first, others, strict=True)):
        if one.tobytes() != other.tobytes():
            raise _Failure(f"{where}: result {n} changes {how}")
