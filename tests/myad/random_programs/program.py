"""A random program: inputs, lines of Python, outputs; and the text a reader can run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import myad

RATE = 0.125  # of the descent in training programs


@dataclass(frozen=True)
class Line:
    """`name = text`: one operation; `reads` are the names that `text` uses, `op` its family."""

    name: str
    text: str
    reads: tuple[str, ...]
    op: str


@dataclass
class RandomProgram:
    """What the generator writes, the checker runs and the shrinker cuts.

    Fields:
        inputs: arguments by name; constants: arrays that the function closes over.
        outputs: names of inputs, constants or lines that are returned, in order.
        state: {position in the result: name of the input whose place it takes in the next step}.
        order, by: how often the sum of the floating-point outputs is differentiated, and by which
            inputs. The sum and its derivatives follow the outputs in the result; in a training
            program, the sum and the inputs moved down the derivative stand in front.
        weights: by output name, the constant it is multiplied with before it is summed.
        dtype: of the sum.
        streams: the inputs (images, labels) that compiled training reads example by example.
        steps: how often it runs.
    """

    seed: int
    inputs: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]
    lines: list[Line]
    outputs: list[str]
    state: dict[int, str] = field(default_factory=dict)
    order: int = 0
    by: tuple[str, ...] = ()
    weights: dict[str, str] = field(default_factory=dict)
    dtype: str = "float64"
    streams: tuple[str, ...] = ()
    steps: int = 1

    @property
    def kind(self) -> str:
        """ "training", "state" or "plain"."""
        return "training" if self.streams else "state" if self.state else "plain"

    @property
    def places(self) -> dict[int, int]:
        """`state` by position of the input."""
        names = list(self.inputs)
        return {out: names.index(name) for out, name in self.state.items()}

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return list(self.inputs)

    @property
    def batch_size(self) -> int:
        """Examples in a step."""
        return len(self.inputs[self.streams[0]])

    def source(self) -> str:
        """Definition of `function(*inputs)`, which returns a tuple."""
        names = ", ".join(self.inputs)
        body = [f"    {line.name} = {line.text}" for line in self.lines]
        result = f"    return ({', '.join(self.outputs)},)"
        if not self.order:
            return "\n".join([f"def function({names}):", *body, result])
        by = tuple(list(self.inputs).index(name) for name in self.by)
        lines = [f"def outputs({names}):", *body, result, *self._total(names)]
        if self.order == 2:
            lines += [
                f"def slope({names}):",
                f"    slopes = myad.grad(total, {by})({names})",
                f"    return sum((d * d).sum().astype({self.dtype!r}) for d in slopes)",
            ]
        lines += [
            f"def function({names}):",
            f"    value, slopes = myad.value_and_grad({'total' if self.order == 1 else 'slope'},"
            f" {by})({names})",
        ]
        if self.streams:
            moved = "".join(f"{x} - {RATE} * slopes[{n}], " for n, x in enumerate(self.by))
            lines.append(f"    return (value, {moved}*outputs({names}))")
        else:
            lines.append(f"    return (*outputs({names}), value, *slopes)")
        return "\n".join(lines)

    def _total(self, names: str) -> list[str]:
        parts = [
            f"(result[{self.outputs.index(name)}] * {weight}).sum().astype({self.dtype!r})"
            for name, weight in self.weights.items()
        ]
        return [
            f"def total({names}):",
            f"    result = outputs({names})",
            f"    return {' + '.join(parts)}",
        ]

    def function(self) -> Callable[..., tuple[Any, ...]]:
        """The function itself, for tensors."""
        scope: dict[str, Any] = {"myad": myad, "np": np, **self.constants}
        exec(compile(self.source(), f"<random program {self.seed}>", "exec"), scope)
        made: Callable[..., tuple[Any, ...]] = scope["function"]
        return made

    def step(self, parameters: Any, state: Any, images: Any, labels: Any, key: Any) -> Any:
        """A training program as `CompiledTraining` takes it."""
        given = {**parameters, **state, **dict(zip(self.streams, (images, labels), strict=True))}
        result = self.function()(*[given[name] for name in self.inputs])
        new = {name: result[place] for place, name in self.state.items()}
        return result[0], {n: new[n] for n in parameters}, {n: new[n] for n in state}

    def batch(self, name: str, step: int) -> np.ndarray:
        """What an input that is a stream is in a step: the same examples in another order."""
        return np.roll(self.inputs[name], step, axis=0)

    def snippet(self) -> str:
        """A script that prints what eager and compiled code give."""
        arrays = {**self.inputs, **self.constants}
        head = ["import numpy as np", "from numpy import inf, nan", "import myad", ""]
        head += [f"{name} = {written(array)}" for name, array in arrays.items()]
        running = {"plain": _PLAIN, "state": _STATE, "training": _TRAINING}[self.kind]
        names = ", ".join(self.inputs)
        listed = running.format(names=names, places=self.places, steps=self.steps, program=self)
        return "\n".join([*head, "", self.source(), "", listed])


_PLAIN = """\
print("eager   ", function(*map(myad.Tensor, ({names},))))
print("compiled", myad.jit(function)({names}))"""

_STATE = """\
from myad.compile.build import build
from myad.compile.load import module_of
from myad.compile.llvm.native import host
from myad.compile.program.trace import trace

program, _ = trace(function, {names})
module = module_of(build(program, host(), state={places}))
for place, array in zip(module.inputs, ({names},)):
    module.write(place, array)
values = [myad.Tensor(x) for x in ({names},)]
for _ in range({steps}):
    results = function(*values)
    for out, into in {places}.items():
        values[into] = results[out]
module.run(steps={steps})
print("eager   ", results)
print("compiled", [module.read(place) for place in module.outputs])"""

_TRAINING = """\
import sys
from myad.compile import CompiledTraining

def step(parameters, state, images, labels, key):
    given = {{**parameters, **state, **dict(zip({program.streams}, (images, labels)))}}
    result = function(*[given[name] for name in {program.names}])
    new = {{name: result[place] for place, name in {program.state}.items()}}
    return result[0], {{n: new[n] for n in parameters}}, {{n: new[n] for n in state}}

given = dict(zip({program.names}, ({names},)))
parameters = {{n: given[n] for n in {program.by}}}
state = {{n: a for n, a in given.items() if n not in {program.by} + {program.streams}}}
data = [
    np.concatenate([np.roll(given[n], k, axis=0) for k in range({steps})])
    for n in {program.streams}
]
training = CompiledTraining(step, parameters, state, *data, batch_size={program.batch_size})
print("compiled", training.epoch(*data), training.parameters, training.optimizer_state)
for images, labels in zip(*[np.split(d, {steps}) for d in data]):
    with np.errstate(all="ignore"):
        loss, parameters, state = step(
            *[{{n: myad.Tensor(a) for n, a in d.items()}} for d in (parameters, state)],
            myad.Tensor(images), myad.Tensor(labels), None)
    print("eager   ", loss, parameters, state)"""


def written(array: np.ndarray) -> str:
    """`array` as Python that makes it."""
    name = "bool_" if array.dtype == bool else array.dtype.name
    if array.size > 1 and np.all(array == array.flat[0]):
        return f"np.full({array.shape}, {array.flat[0].item()!r}, np.{name})"
    text = f"np.array({array.ravel().tolist()!r}, np.{name})"
    return text if array.ndim == 1 else f"{text}.reshape({array.shape})"
