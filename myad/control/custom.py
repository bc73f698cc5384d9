"""Functions whose derivative is written by hand, and ones whose inside is computed again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.control.body import Body, record, spec_of
from myad.control.nest import Nest, Results, is_float, or_zeros, spread, with_floats
from myad.control.scan import operands
from myad.core import Tensor
from myad.errors import GraphError, OptionError, TreeError
from myad.recording import thread_state
from myad.transforms import vjp
from myad.tree import Structure, leaves, unflatten

Function = Callable[..., Any]


class Inline(Nest):
    """A body that runs once: the compiler writes it out where it stands."""

    inline = True

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.results = Results(body.outputs)

    def description(self) -> tuple[Any, ...]:
        """The body: rules of derivatives have been used by then."""
        return (self.body,)

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        return self.body.evaluate(*inputs)

    def written_out(self, floating: bool, *inputs: Any) -> Any:
        """The result of `nested` or of `nested_integers`, by the operations inside."""
        found = [z for z in self.body(*inputs) if is_float(z) == floating]
        return self.results.joined(found, floating)


class Checkpoint(Inline):
    """Nothing but the inputs is kept for reverse mode, which runs the body again."""

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        def of_floats(*moving: Any) -> list[Any]:
            return [v for v in self.body(*with_floats(inputs, moving)) if is_float(v)]

        _, pullback = vjp(of_floats, *[x for x in inputs if is_float(x)])
        return spread(pullback(self.results.floats(dz)), inputs)

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        return NotImplemented  # the transpose of the above


def checkpoint(function: Function) -> Function:
    """`function`, of which reverse mode keeps the arguments only, and computes the rest again.

    Memory for time, as `jax.checkpoint`. Where it is compiled the compiler plans memory itself, and
    computes what is equal once.
    """

    @functools.wraps(function)
    def transformed(*args: Any) -> Any:
        values, given, _ = _arguments(args)
        body, foreign, structure = record(function, given)
        return unflatten(structure, Checkpoint(body)(*values, *foreign))

    return transformed


class _CustomGradient(Inline):
    """Results: those of the function, then what the backward rule wants of the forward one."""

    def __init__(self, body: Body, backward: Function, counts: tuple[int, int],
                 structures: tuple[Structure, Structure, list[Structure]]) -> None:  # fmt: skip
        super().__init__(body)
        self.backward, self.counts, self.structures = backward, counts, structures

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        outputs, arguments = self.counts
        output, residual, given = self.structures
        # of a derivative that is followed, the residual has ordinary derivatives: those of fwd
        followed = any(type(x) is Tensor and x.tracked & thread_state.active for x in inputs)
        kept = (self.body if followed else self)(*inputs)[outputs:]
        cuts = iter(self.results.floats(dz))
        seeds = [
            next(cuts) if is_float(s) else np.zeros(s.shape, np.float32)
            for s in self.results.specs[:outputs]
        ]
        found = self.backward(unflatten(residual, kept), unflatten(output, seeds))
        if not isinstance(found, tuple | list) or len(found) != len(given):
            raise TreeError(f"custom_vjp: the backward rule must return {len(given)} gradients.")
        gradients: list[Any] = []
        for structure, gradient in zip(given, found, strict=True):
            count = _size(structure)
            gradients += [None] * count if gradient is None else leaves(gradient)
        if len(gradients) != arguments:
            raise TreeError("custom_vjp: gradients must be nested like the arguments, or None.")
        shaped = [
            None if g is None or not is_float(x) else _checked("custom_vjp", g, x)
            for g, x in zip(gradients, inputs, strict=False)
        ]
        return [*shaped, *[None] * (len(inputs) - arguments)]

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        return NotImplemented


class _CustomTangent(Inline):
    def __init__(self, body: Body, rule: Function, structures: list[Structure]) -> None:
        super().__init__(body)
        self.rule, self.structures = rule, structures

    def own(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The arguments among `inputs`, without what comes from a trace around."""
        return inputs[: sum(map(_size, self.structures))]

    def pushed(self, inputs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the floating-point results; those of integers are zeros."""
        full = spread(tangents, inputs)
        full = tuple(
            [np.zeros(x.shape, np.float32) if t is None else t
             for t, x in zip(full, inputs, strict=True)]
        )  # fmt: skip
        found = self.rule(_nested(self.structures, inputs), _nested(self.structures, full))
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise TreeError("custom_jvp: the rule must return (result, tangent).")
        return [
            _checked("custom_jvp", t, s)
            for t, s in zip(leaves(found[1]), self.results.specs, strict=True)
            if is_float(s)
        ]

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        # the rule is linear in the tangents: its gradient by them, anywhere, is its transpose
        own = self.own(inputs)
        zeros = or_zeros([None] * len(own), own)
        _, pullback = vjp(lambda *tangents: self.pushed(own, tangents), *zeros)
        found = spread(pullback(self.results.floats(dz)), own)
        return [*found, *[None] * (len(inputs) - len(own))]

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        own = self.own(inputs)
        return self.results.joined(self.pushed(own, or_zeros(self.own(tangents), own)))


class custom_vjp:
    """A function whose gradient is written by hand, as `jax.custom_vjp`; use it as a decorator.

    f.defvjp(fwd, bwd): fwd(*args) -> (result, residual), a tree of arrays; bwd(residual, gradient
    of the result) -> one gradient per argument, nested like it, or None. What the function closes
    over has no gradient: a tensor that is followed is refused, and must be an argument.
    """

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self._rules: tuple[Function, Function] | None = None

    def defvjp(self, fwd: Function, bwd: Function) -> Function:
        """Set both rules; returns `bwd`."""
        self._rules = fwd, bwd
        return bwd

    def __call__(self, *args: Any) -> Any:
        if self._rules is None:
            raise OptionError(f"custom_vjp: {self.__name__} has no rules yet; call defvjp.")
        forward, backward = self._rules
        values, given, structures = _arguments(args)
        body, foreign, told = record(forward, given)
        _refuse_followed("custom_vjp", foreign)
        if told.kind is not tuple or len(told.children) != 2:
            raise TreeError(f"custom_vjp: fwd must return (result, residual), not {told}.")
        output, residual = told.children
        count = _size(output)
        nest = _CustomGradient(body, backward, (count, len(values)), (output, residual, structures))
        return unflatten(output, nest(*values, *foreign)[:count])

    __name__: str


class custom_jvp:
    """A function whose forward derivative is written by hand, as `jax.custom_jvp`.

    f.defjvp(rule): rule(arguments, tangents) -> (result, tangent), linear in the tangents; reverse
    mode is its transpose. What the function closes over is treated as in `custom_vjp`.
    """

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._rule: Function | None = None

    def defjvp(self, rule: Function) -> Function:
        """Set the rule; returns it."""
        self._rule = rule
        return rule

    def __call__(self, *args: Any) -> Any:
        if self._rule is None:
            raise OptionError(f"custom_jvp: {self.__name__} has no rule yet; call defjvp.")
        values, given, structures = _arguments(args)
        body, foreign, told = record(self._function, given)
        _refuse_followed("custom_jvp", foreign)
        return unflatten(told, _CustomTangent(body, self._rule, structures)(*values, *foreign))

    __name__: str


def _arguments(args: Sequence[Any]) -> tuple[list[Any], list[Any], list[Structure]]:
    """All leaves, what `record` wants of them, and the structure of each argument."""
    values: list[Any] = []
    given, structures = [], []
    for arg in args:
        found, structure = operands(arg)
        values += found
        given.append((list(map(spec_of, found)), structure))
        structures.append(structure)
    return values, given, structures


def _nested(structures: Sequence[Structure], values: Sequence[Any]) -> tuple[Any, ...]:
    rest = iter(values)
    return tuple([unflatten(s, [next(rest) for _ in range(_size(s))]) for s in structures])


def _size(structure: Structure) -> int:
    """Number of leaves."""
    if structure.kind is None:
        return 1
    return sum(_size(child) for child in structure.children)


def _checked(name: str, found: Any, like: Any) -> Any:
    found = found if isinstance(found, Tensor | np.ndarray) else np.asarray(found, like.dtype)
    if tuple(found.shape) != tuple(like.shape) or found.dtype != like.dtype:
        raise TreeError(
            f"{name}: a derivative of shape {tuple(found.shape)} {found.dtype} for"
            f" {tuple(like.shape)} {like.dtype}."
        )
    return found


def _refuse_followed(name: str, foreign: Sequence[Tensor]) -> None:
    if any(x.tracked & thread_state.active for x in foreign):
        raise GraphError(
            f"{name}: the function closes over a tensor that a derivative follows, which would be"
            " lost; make it an argument."
        )
