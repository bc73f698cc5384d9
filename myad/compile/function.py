"""Compiled functions: any pure function of arrays, and inference over a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from myad.compile.build import build
from myad.compile.dtypes import native
from myad.compile.llvm.module import Module
from myad.compile.llvm.native import host
from myad.compile.program.trace import Argument, flatten, trace, unflatten
from myad.errors import DataError


class CompiledFunction:
    """`function` compiled anew for each set of argument shapes and dtypes, then reused.

    Call it like `function`, with arrays in nested tuples, lists and dicts; it returns arrays that
    share memory with nothing. Several threads may call it at once.
    `lower(*args)` returns the `Module` of those arguments, whose `plan` and `ir` can be printed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._compiled: dict[Any, tuple[Module, Any]] = {}

    def __call__(self, *args: Any) -> Any:
        leaves = [np.asarray(leaf) for _, leaf in flatten(args)]
        module, result = self._entry(args, leaves)
        return unflatten(result, module.call(leaves))

    def lower(self, *args: Any) -> Module:
        """The compiled module for arguments like these."""
        return self._entry(args, [np.asarray(leaf) for _, leaf in flatten(args)])[0]

    def _entry(self, args: tuple[Any, ...], leaves: list[np.ndarray]) -> tuple[Module, Any]:
        names = tuple(name for name, _ in flatten(args))
        key = (names, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._compiled:
            program, result = trace(self.function, *unflatten(args, leaves))
            self._compiled[key] = Module(build(program, host())), result
        return self._compiled[key]


def jit(function: Callable[..., Any]) -> CompiledFunction:
    """`function` as native code.

    Args: function: pure; takes and returns (nested) arrays; written with myad's operations,
        derivatives included.
    Raises, when called: CompileError naming an operation that cannot be compiled.
    """
    return CompiledFunction(function)


class CompiledPredict:
    """A model's output for every example of a data set, batch by batch in one native loop.

    It may be called from several threads at once.

    Args: apply: pure, `apply(parameters, images)` -> (B, …); what it gives for an image may not
        hang on the others in its batch: a short last one is filled up. The rest as in
        `CompiledTraining`.
    """

    def __init__(
        self, apply: Callable[..., Any], parameters: Any, images: Any, *, batch_size: int
    ) -> None:
        dtype = np.dtype(images.dtype).newbyteorder("=")
        self._example = Argument(tuple(images.shape[1:]), dtype, "images")
        self.batch_size = min(batch_size, max(1, len(images)))
        batch = Argument((self.batch_size, *self._example.shape), dtype, "images")
        program, _ = trace(apply, parameters, batch, name="parameter images")
        leaves = [np.asarray(leaf) for _, leaf in flatten(parameters)]
        plan = build(program, host(), streams=(len(leaves),))
        given = dict(zip(plan.inputs, leaves, strict=False))
        self._module = Module(plan, collect=0, given=given)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The outputs, (N, …), for images of the shape and dtype compiled for."""
        images = native(images)
        if (images.shape[1:], images.dtype) != (self._example.shape, self._example.dtype):
            raise DataError(
                f"compiled predict: images are {images.dtype}{list(images.shape[1:])} per example,"
                f" compiled for {self._example.dtype}{list(self._example.shape)}."
            )
        steps = -(-len(images) // self.batch_size)
        out = self._module.collected(steps)
        if steps:
            rows = np.minimum(np.arange(steps * self.batch_size), len(images) - 1)
            with self._module.arena() as arena:
                self._module.run([images], rows.astype(np.int32), steps, out, arena)
        return self._module.unpack(out)[: len(images)]
