"""Arrays without elements leave the program before there are kernels: their loops run zero times.

What is empty is a constant. What reads something empty and is not empty itself is a join, which
leaves it out, or sums over nothing (a sum, a product of matrices with K = 0): a constant too. An
array in which nothing is set stays what it is, and who looks for a place in one without any finds
none when it is run.
"""

from __future__ import annotations

import numpy as np

from myad.compile.program.program import Program, Step, Variable
from myad.compile.program.simplify import replay


def without_empty(program: Program) -> Program:
    """The same results without a step that reads or gives an empty array."""
    if not any(_empty(v) for step in program.steps for v in (*step.inputs, step.output)):
        return program
    return replay(program, _replaced)


def _empty(variable: Variable) -> bool:
    return 0 in variable.shape


def _replaced(new: Program, step: Step, inputs: list[Variable]) -> Variable:
    if _empty(step.output):
        return new.constant(np.zeros(step.output.shape, step.output.dtype))
    if "nest" in step.static or step.op.name == "gather":
        return new.append(step.op, inputs, step.static)  # what is inside decides, or the places
    if step.op.name == "scatter_set" and not _empty(inputs[0]):
        return inputs[0] if _empty(inputs[1]) else new.append(step.op, inputs, step.static)
    full = [v for v in inputs if not _empty(v)]
    if len(full) == len(inputs):
        return new.append(step.op, inputs, step.static)
    if step.op.name == "concatenate":
        return full[0] if len(full) == 1 else new.append(step.op, full, step.static)
    # a product with nothing does not hang on its other factors
    zeros = [np.zeros(v.shape, v.dtype) for v in inputs]
    return new.constant(np.asarray(step.op.value(*zeros, **step.static)))
