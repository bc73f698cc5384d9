"""Compiled functions: any pure function of arrays, and inference over a data set."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from myad.compile.arguments import Call, static_arguments
from myad.compile.dtypes import native
from myad.compile.llvm.module import Module
from myad.compile.llvm.processors import team_size
from myad.compile.load import load
from myad.compile.program.trace import Argument, trace
from myad.core import Tensor
from myad.errors import CompileError, DataError
from myad.tree import LEAF, Structure, flatten, leaves, unflatten

CACHE_SIZE = 64  # programs that a compiled function keeps, the last used ones


class CacheInfo(NamedTuple):
    """How often a call found its program, how often it was compiled, and what is kept."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


@dataclass(slots=True)
class _Entry:
    """A compiled program, the nesting of its result, and when it was last used, in calls."""

    module: Module
    result: Structure
    last_used: int


class CompiledFunction:
    """`function` compiled anew for each kind of arguments, then reused.

    A kind is the nesting, the shapes and dtypes of the arrays, and the values of Python numbers
    and static arguments. The `CACHE_SIZE` kinds used last are kept. Call it like `function`; its
    results share memory with nothing, and several threads may call it at once; `threads` of its own
    then work for one call after the other.
    `lower(*args)` returns the `Module` of those arguments, whose `plan` and `ir` can be printed.
    """

    def __init__(
        self, function: Callable[..., Any], static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (), threads: int = 1,
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, function, updated=())
        self.function, self.threads = function, team_size(threads)
        self._static = static_arguments(function, static_argnums, static_argnames)
        self._compiled: dict[Any, _Entry] = {}
        self._lock = threading.Lock()  # of the cache; compiling and running do not hold it
        self._hits = self._misses = 0

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A compiled method: of an instance, which is its first argument, like any method's."""
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {self.function!r}>"

    def __call__(self, *args: Any, **options: Any) -> Any:
        call = Call(self.function, self._static, args, options)
        entry = None if call.is_followed else self._entry(call)
        if entry is None:
            return self.function(*args, **options)
        found: list[Any] = entry.module.call(call.arrays, self.threads)
        if call.is_boxed:
            found = [Tensor(z) for z in found]
        return found[0] if entry.result is LEAF else unflatten(entry.result, found)

    def lower(self, *args: Any, **options: Any) -> Module:
        """The compiled module for arguments like these."""
        call = Call(self.function, self._static, args, options)
        entry = None if call.is_followed else self._entry(call)
        if entry is None:
            raise CompileError(
                f"{call.name}: what it reads is being traced or differentiated; there, its"
                " operations become part of that program."
            )
        return entry.module

    def cache_info(self) -> CacheInfo:
        """What the cache holds, and how it was used."""
        return CacheInfo(self._hits, self._misses, CACHE_SIZE, len(self._compiled))

    def clear_cache(self) -> None:
        """Forget every compiled program, and with it its memory."""
        with self._lock:
            self._compiled.clear()
            self._hits = self._misses = 0

    def _entry(self, call: Call) -> _Entry | None:
        """Program and nesting of the result; None if the function reads a followed tensor that is
        no argument, whose derivative a compiled program would lose."""
        call.read()
        try:
            entry = self._compiled.get(call.key)
        except TypeError:  # something has no hash: `check` says what
            entry = None
        with self._lock:
            if entry is not None:
                self._hits += 1
                entry.last_used = self._hits + self._misses
                return entry
            self._misses += 1
        call.check()
        program, result = trace(call.on_arrays, *call.arrays, names=call.names)
        found, structure = flatten(result)
        if any(type(leaf) is Tensor and leaf.tracked for leaf in found):
            return None
        module = load(program, arrays=True)
        with self._lock:
            entry = _Entry(module, structure, self._hits + self._misses)
            self._compiled[call.key] = entry
            if len(self._compiled) > CACHE_SIZE:
                del self._compiled[min(self._compiled, key=lambda k: self._compiled[k].last_used)]
        return entry


def jit(
    function: Callable[..., Any] | None = None, *, static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (), threads: int = 1,
) -> Any:  # fmt: skip
    """`function` as native code; `@jit` and `@jit(static_argnums=...)` decorate.

    Where an argument is being traced or differentiated (`jit` in `jit`, in a training step, under
    `grad`, `jvp`, `vjp`, ...), the function itself is called and becomes part of what is going on.

    Args:
        function: pure; takes and returns trees of arrays; written with myad's operations,
            derivatives included. Python numbers among its arguments are part of the program, as
            in eager code they take the dtype of what is beside them: another number compiles
            again. Results are arrays, or Tensors if an argument is one.
        static_argnums, static_argnames: arguments that are no arrays, but hashable settings; where
            one of the two is given, the other follows from the function's signature.
        threads: how many work on a call; fewer where the process may not use so many processors or
            nothing in it is large enough. Their number does not change a bit of the result.
    Raises: OptionError unless `threads` is an integer >= 1.
    Raises, when called: CompileError naming what cannot be compiled, TraceError where `function`
        asks for a value, OptionError for a static argument that has no hash.
    """
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    if function is None:
        return lambda function: CompiledFunction(function, numbers, names, threads)
    return CompiledFunction(function, numbers, names, threads)


class CompiledPredict:
    """A model's output for every example of a data set, batch by batch in one native loop.

    It may be called from several threads at once.

    Args: apply: pure, `apply(parameters, images)` -> (B, …); what it gives for an image may not
        hang on the others in its batch: a short last one is filled up. The rest as in
        `CompiledTraining`.
    """

    def __init__(
        self, apply: Callable[..., Any], parameters: Any, images: Any, *, batch_size: int,
        threads: int = 1,
    ) -> None:  # fmt: skip
        self.threads = team_size(threads)
        dtype = np.dtype(images.dtype).newbyteorder("=")
        self._example = Argument(tuple(images.shape[1:]), dtype, "images")
        self.batch_size = min(batch_size, max(1, len(images)))
        batch = Argument((self.batch_size, *self._example.shape), dtype, "images")
        program, _ = trace(apply, parameters, batch, names=("parameter", "images"))
        values = [np.asarray(leaf) for leaf in leaves(parameters)]
        self._module = load(program, streams=(len(values),), collect=0, given=values)

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
                self._module.run([images], rows.astype(np.int32), steps, out, arena,
                                 threads=self.threads)  # fmt: skip
        return self._module.unpack(out)[: len(images)]
