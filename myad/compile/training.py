"""Compiled training: an epoch is one native loop over batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from myad.compile.dtypes import native
from myad.compile.llvm.module import Module
from myad.compile.llvm.processors import team_size
from myad.compile.load import load
from myad.compile.places import Place
from myad.compile.program.trace import Argument, flatten, trace, unflatten
from myad.errors import CompileError, DataError, ThreadError

if TYPE_CHECKING:
    from myad.compile.counted import Counters
    from myad.compile.loops.plan import Plan

SLICE_S = 0.05  # native code runs this long before Python looks for Ctrl-C

Step = Callable[..., tuple[Any, Any, Any]]
Rates = Callable[[int, int], np.ndarray]


class CompiledTraining:
    """A training step compiled for one batch size, with its state inside.

    Args:
        step: pure, `step(parameters, optimizer_state, images, labels, key)` -> (mean loss, new
            parameters, new optimizer state), as `training_step` returns it; with `rates`, a sixth
            argument is the step's own number of them.
        parameters, optimizer_state: starting values, nested dicts of arrays.
        images, labels: the training set, or anything with its shapes and dtypes.
        batch_size: examples per step. A shorter last batch is run eagerly: once an epoch in NumPy
            costs some thousandths of what compiling its code would.
        key: uint32 (2,), (seed, counter) for dropout; the counter grows by 1 each step.
        rates: (number of the first step, how many) -> a float for each of these steps, counted from
            `first_step`: what differs from step to step, as a learning rate does. They are data of
            the native code, not a part of it.
        threads: how many work on a step; fewer where the process may not use so many processors or
            the step is too small. Their number does not change a bit of the result.
        counted: whether the code counts the time of each kernel, see `counters`; it is slower by
            one reading of a counter per kernel, and its results are the same.
    Raises: CompileError naming what cannot be compiled; OptionError unless `threads` is an integer
        >= 1.

    `program`, `loops`, `ir`, `memory` show every stage as text. One thread at a time may use an
    object: a second one that enters is told so by a ThreadError.
    """

    def __init__(
        self, step: Step, parameters: Any, optimizer_state: Any, images: Any, labels: Any, *,
        batch_size: int, key: np.ndarray | None = None, rates: Rates | None = None,
        first_step: int = 0, threads: int = 1, counted: bool = False,
    ) -> None:  # fmt: skip
        self._step, self._rates, self._done, self._counted = step, rates, first_step, counted
        if key is None:
            key = np.zeros(2, np.uint32)
        self._state = (parameters, optimizer_state, key)
        self._example = _one_of(images, "images")
        self._label = _one_of(labels, "labels")
        self._rate = rates(first_step, 1) if rates is not None else np.zeros(1)
        self._lock = threading.RLock()
        self.batch_size = min(batch_size, len(images))
        self.threads = team_size(threads)
        self._pace = 1.0  # steps that fit a slice, learned as it runs
        self._module = self._compile()
        self.counters = self._count() if counted else None
        self._write(self._state)

    def _count(self) -> Counters:
        from myad.compile.counted import Counters

        return Counters(self._module, self.threads)

    @property
    def plan(self) -> Plan:
        """Kernels, layouts, loop code and memory of the full batch."""
        return self._module.plan

    @property
    def program(self) -> Any:
        """The recorded, differentiated and simplified training step."""
        return self.plan.program

    @property
    def loops(self) -> str:
        """The loop code of every kernel."""
        return self.plan.loops

    @property
    def ir(self) -> str:
        """The LLVM IR."""
        return self._module.ir

    @property
    def memory(self) -> str:
        """Every buffer with its place, size and layout."""
        return self.plan.memory

    @property
    def parameters(self) -> Any:
        """Copies of the current parameters, nested as they were given."""
        with self._alone():
            return self._read()[0]

    @property
    def optimizer_state(self) -> Any:
        """Copies of the current optimizer state, nested as it was given."""
        with self._alone():
            return self._read()[1]

    def epoch(
        self, images: np.ndarray, labels: np.ndarray, order: np.ndarray | None = None, *,
        done: Callable[[int], None] = lambda examples: None,
    ) -> float:  # fmt: skip
        """Train on every example once.

        Args:
            images: (N, …) and labels: (N, …), of the shapes and dtypes compiled for.
            order: (N,) row numbers; by default 0 … N − 1.
            done: called now and then with the number of examples trained on.
        Returns: the loss, averaged over the examples; NaN or infinity if training diverged.
        """
        with self._alone():
            return self._epoch(native(images), native(labels), order, done)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raise ThreadError if another thread is at work here; a callback of this one may enter."""
        if not self._lock.acquire(blocking=False):
            raise ThreadError(
                "compiled training: another thread is training or reading this object, which holds"
                " one state. Let one thread use it, or make one object per thread."
            )
        try:
            yield
        finally:
            self._lock.release()

    def _epoch(
        self, images: np.ndarray, labels: np.ndarray, order: np.ndarray | None,
        done: Callable[[int], None],
    ) -> float:  # fmt: skip
        rows = _checked_rows(order, images, labels)
        streams = [images, labels]
        self._check_streams(streams)
        full = len(rows) // self.batch_size
        rates = self._rates_of(-(-len(rows) // self.batch_size))
        total = 0.0
        if full:
            if rates is not None:
                streams.append(self._by_row(rates, rows, len(images)))
            total = self._run(streams, rows[: full * self.batch_size], done)
        rest = rows[full * self.batch_size :]
        if len(rest):
            last = () if rates is None else (rates[-1],)
            total += self._short_step(images[rest], labels[rest], *last)
            done(len(rows))
        return total / len(rows)

    def _rates_of(self, count: int) -> np.ndarray | None:
        """The rates of the next steps, which are then done."""
        first, self._done = self._done, self._done + count
        return None if self._rates is None else self._rates(first, count)

    def _by_row(self, rates: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
        """(N,) with the rate of each example's step: native code reads all streams by row."""
        found = np.zeros(count, self._rate.dtype)
        found[rows] = np.repeat(rates, self.batch_size)[: len(rows)]
        return found

    def _check_streams(self, streams: Sequence[np.ndarray]) -> None:
        for array, wanted in zip(streams, (self._example, self._label), strict=True):
            if (array.shape[1:], array.dtype) != (wanted.shape, wanted.dtype):
                raise DataError(
                    f"compiled training: {wanted.name} are {array.dtype}{list(array.shape[1:])} "
                    f"per example, compiled for {wanted.dtype}{list(wanted.shape)}."
                )

    def _run(
        self, streams: Sequence[np.ndarray], rows: np.ndarray, done: Callable[[int], None]
    ) -> float:
        """Sum of the loss over the examples of `rows`, in slices so that Ctrl-C is heard."""
        batch = self.batch_size
        steps, made, total = len(rows) // batch, 0, 0.0
        ticks = None if self.counters is None else self.counters.ticks
        while made < steps:
            count = max(1, min(steps - made, int(self._pace)))
            start = time.perf_counter()
            # added up within: the sum does not hang on where the clock cut the slices
            total = self._module.run(streams, rows[made * batch :], count, ticks, total=total,
                                      threads=self.threads)  # fmt: skip
            elapsed = max(time.perf_counter() - start, 1e-7)
            self._pace = min(4 * self._pace, count * SLICE_S / elapsed) + 1
            made += count
            done(made * batch)
        return total * batch

    def _short_step(self, images: np.ndarray, labels: np.ndarray, *rate: np.ndarray) -> float:
        """One eager step on fewer examples; the sum of the loss over them."""
        # a diverging loss is for the caller to see; NumPy would warn of every operation
        with np.errstate(all="ignore"):
            parameters, optimizer_state, key = self._read()
            loss, *state = self._advance(parameters, optimizer_state, key, images, labels, *rate)
        self._write(state)
        return float(loss) * len(images)

    def _compile(self) -> Module:
        batch = self.batch_size
        images = Argument((batch, *self._example.shape), self._example.dtype, "images")
        labels = Argument((batch, *self._label.shape), self._label.dtype, "labels")
        streams, names = [images, labels], ["parameter", "optimizer", "key", "images", "labels"]
        if self._rates is not None:
            streams.append(Argument((batch,), self._rate.dtype, "rates"))
            names.append("rates")
        program, result = trace(self._first_rate, *self._state, *streams, names=names)
        if program.outputs[0].shape:
            raise CompileError(
                f"compiled training: the step's loss has the shape {program.outputs[0].shape};"
                " return a number, the mean over the batch."
            )
        state = _state_places(self._state, result[1:])
        count = len(state)
        places = range(count, count + len(streams))
        return load(program, state=state, streams=tuple(places), loss=0, counted=self._counted)

    def _first_rate(self, *arguments: Any) -> Any:
        """The step of a batch whose rates, all equal, come with its examples."""
        if self._rates is None:
            return self._advance(*arguments)
        *others, rates = arguments
        return self._advance(*others, rates[0])

    def _advance(
        self, parameters: Any, state: Any, key: Any, images: Any, labels: Any, *rate: Any
    ) -> Any:
        loss, parameters, state = self._step(parameters, state, images, labels, key, *rate)
        return loss, parameters, state, key + np.array([0, 1], np.uint32)

    def _places(self) -> Sequence[Place]:
        return self._module.inputs[: len(flatten(self._state))]

    def _read(self) -> Any:
        return unflatten(self._state, [self._module.read(place) for place in self._places()])

    def _write(self, state: Any) -> None:
        leaves = [np.asarray(leaf) for _, leaf in flatten(state)]
        for place, leaf in zip(self._places(), leaves, strict=True):
            self._module.write(place, leaf)


def _one_of(array: Any, name: str) -> Argument:
    """One example of `array`, in this machine's byte order."""
    return Argument(tuple(array.shape[1:]), np.dtype(array.dtype).newbyteorder("="), name)


def _state_places(taken: Any, returned: Any) -> dict[int, int]:
    """{output: input} positions of the state, matched by name; the loss is output 0.

    Raises: CompileError if the names differ.
    """
    places = {name: n for n, (name, _) in enumerate(flatten(taken))}
    names = [name for name, _ in flatten(returned)]
    if sorted(names) != sorted(places):
        raise CompileError(
            "compiled training: the step returns other parameters or another optimizer state "
            "than it takes; return both with the same names."
        )
    return {n + 1: places[name] for n, name in enumerate(names)}


def _checked_rows(order: np.ndarray | None, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Row numbers as int32, each of them a row of both arrays."""
    count = len(images)
    if len(labels) != count:
        raise DataError(f"compiled training: {count} images, {len(labels)} labels.")
    rows = np.arange(count) if order is None else np.asarray(order)
    if not len(rows):
        raise DataError("compiled training: no examples.")
    if rows.min() < 0 or rows.max() >= count:
        raise DataError(
            f"compiled training: order names rows {rows.min()} to {rows.max()} of {count}."
        )
    return np.ascontiguousarray(rows, np.int32)
