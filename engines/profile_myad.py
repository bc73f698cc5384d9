"""myad's profile in the classes of the contract: its primitives, and what they are for.

Compiled code counts by kernel, and a kernel knows the operations that were fused into it, each with
the layer that called it. Eager code is timed around each primitive and each gradient.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import myad
import myad.step
from harness.contract import Layer, Report, ops
from harness.contract.ops import Op, Span
from myad.core import PRIMITIVES
from myad.recording import Origin, thread_state

# Primitives, and of a gradient the primitive whose gradient it is.
PRODUCTS: dict[str, str] = {
    "correlate2d": ops.CONVOLUTION,
    "correlate2d_input_gradient": ops.CONVOLUTION,
    "correlate2d_kernel_gradient": ops.CONVOLUTION,
    "matmul": ops.MATMUL,
}
POOLINGS = dict.fromkeys(
    ("max_pool2d", "max_pool2d_gradient", "sum_pool2d", "sum_pool2d_gradient"), ops.POOLING
)
CLASSES: dict[str, str] = {
    **PRODUCTS,
    **POOLINGS,
    "relu": ops.ACTIVATION,
    "sigmoid": ops.ACTIVATION,
    "tanh": ops.ACTIVATION,
    "softmax": ops.ACTIVATION,
    "random_uniform": ops.ACTIVATION,
}
MOVES = {
    "broadcast_to", "cast", "concatenate", "interleave2d", "pad", "reshape", "strided_embed",
    "strided_slice", "transpose",
}  # fmt: skip
SCOPES: dict[str, tuple[str, str | None]] = {
    "images": (ops.MOVEMENT, None),
    "loss": (ops.LOSS, None),
    "update": (ops.OPTIMIZER, ops.UPDATE),
}
PARTS = {None: ops.FORWARD, 0: ops.INPUT_GRADIENT, 1: ops.KERNEL_GRADIENT, -1: ops.INPUT_GRADIENT}


def describe(name: str, own: str, origin: Origin, layers: Sequence[Layer]) -> Op:
    """What the primitive `own`, called for `origin`, is; `name` is what people read."""
    if isinstance(origin.scope, str):
        return Op(name, *SCOPES.get(origin.scope, (ops.UNATTRIBUTED, None)))
    layer = origin.scope
    kind = CLASSES.get(origin.op)
    if own in MOVES:
        kind = ops.MOVEMENT
    elif kind is None and layer is not None and layer < len(layers):
        kind = ops.LAYER_CLASSES.get(layers[layer].type)
    if kind in (None, ops.MOVEMENT):
        return Op(name, kind or ops.UNATTRIBUTED, None, layer)
    part = PARTS.get(origin.argument, ops.INPUT_GRADIENT)
    if part == ops.KERNEL_GRADIENT and kind not in (ops.CONVOLUTION, ops.MATMUL):
        part = ops.INPUT_GRADIENT
    return Op(name, kind, part, layer)


def kernel(name: str, origins: Sequence[tuple[str, Origin]], layers: Sequence[Layer]) -> Op:
    """What a compiled kernel is: its product or pooling, if it has one; else what it does first,
    moving aside.

    Kernels without an origin are the compiler's own: copies in another order.
    """
    if not origins:
        return Op(name, ops.MOVEMENT)
    names = list(dict.fromkeys(own for own, _ in origins))
    text = f"{name}: {', '.join(names)}" if len(names) > 1 else name
    found = [(own, describe(text, own, origin, layers)) for own, origin in origins]
    heavy = [op for table in (PRODUCTS, POOLINGS) for own, op in found if own in table]
    working = [op for _, op in found if op.kind not in (ops.MOVEMENT, ops.UNATTRIBUTED)]
    return [*heavy, *working, *(op for _, op in found)][0]


@contextmanager
def counted(
    training: Any, layers: Sequence[Layer], steps: int, report: Report,
    epoch_s: Callable[[], float],
) -> Iterator[None]:  # fmt: skip
    """A context in which a counted build of the training loop takes so many steps and is reported.

    Args: training: of `compile_training(counted=True)`. epoch_s: seconds of the epoch, at its end.
    """
    training.counters.reset()
    yield
    times = training.counters.read()
    starts = sorted(one.start for one in times if one.start is not None)
    ends = dict(pairwise(starts))  # of the latest turn of each kernel: where the next one began
    for one in times:
        is_rest = one is times[-1]
        op = Op(one.name, ops.DISPATCH) if is_rest else kernel(one.name, one.origins, layers)
        slices = [(one.start, ends[one.start] - one.start)] if one.start in ends else []
        report.ops(*op, calls=one.calls * steps, seconds=one.seconds, slices=slices)
    outside = epoch_s() - sum(one.seconds for one in times)
    report.ops("Python around the native loop", ops.DISPATCH, calls=1, seconds=outside)


class Recorder:
    """Times every primitive, every gradient and the optimizer while it is entered."""

    def __init__(self, layers: Sequence[Layer], optimizer: Any) -> None:
        self.layers, self.optimizer = layers, optimizer
        self.spans: list[Span] = []
        self._made: dict[int, int | str | None] = {}  # who made an array, by its id
        self._gradient: Origin | None = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Patch what is timed, and put it back."""
        before = {op: (op.value, op.vjp) for op in PRIMITIVES.values()}
        update, read_images = self.optimizer.update, myad.step.read_images
        for op in before:
            op.value = self._value(op.name, op.value)
            op.vjp = self._vjp(op.name, op.vjp) if op.vjp is not None else None
        timed = self._whole(Op("the optimizer's step", ops.OPTIMIZER, ops.UPDATE), update)
        object.__setattr__(self.optimizer, "update", timed)  # optimizers are frozen
        reading = self._whole(Op("images as numbers", ops.MOVEMENT), read_images)
        myad.step.read_images = reading
        try:
            yield
        finally:
            for op, (value, vjp) in before.items():
                op.value, op.vjp = value, vjp
            object.__delattr__(self.optimizer, "update")
            myad.step.read_images = read_images

    def _add(self, op: Op, start: float) -> None:
        self.spans.append(Span(op, start, time.perf_counter()))

    def _whole(self, op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*inputs: Any, **static: Any) -> Any:
            start = time.perf_counter()
            result = function(*inputs, **static)
            self._add(op, start)
            return result

        return timed

    def _value(self, name: str, value: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*inputs: Any, **static: Any) -> Any:
            start = time.perf_counter()
            result = value(*inputs, **static)
            origin = self._gradient or Origin(thread_state.scope, name)
            self._add(describe(name, name, origin, self.layers), start)
            self._made[id(result)] = thread_state.scope
            return result

        return timed

    def _vjp(self, name: str, vjp: Callable[..., Any]) -> Callable[..., Any]:
        def timed(dz: Any, z: Any, *inputs: Any, **static: Any) -> Any:
            # NumPy's numbers become arrays on the way: they are those of the loss
            origin = Origin(self._made.get(id(z), None if z.ndim else "loss"), name, -1)
            shares = self._within(origin, lambda: vjp(dz, z, *inputs, **static))
            return tuple(
                self._later(origin._replace(argument=number), share) if callable(share) else share
                for number, share in enumerate(shares)
            )

        return timed

    def _later(self, origin: Origin, share: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: self._within(origin, share)

    def _within(self, origin: Origin, work: Callable[[], Any]) -> Any:
        """Do the work of a gradient; the primitives in it belong to it."""
        outer, self._gradient = self._gradient, origin
        start = time.perf_counter()
        try:
            return work()
        finally:
            self._add(describe(f"{origin.op}, gradient", origin.op, origin, self.layers), start)
            self._gradient = outer


@contextmanager
def recorded(
    layers: Sequence[Layer], optimizer: Any, report: Report,
    window: Callable[[], tuple[float, float]],
) -> Iterator[None]:  # fmt: skip
    """A context in which eager training is timed and reported.

    Args: window: when the epoch began and ended, on the clock of `time.perf_counter`.
    """
    recorder = Recorder(layers, optimizer)
    with recorder.on():
        yield
    for op in ops.own_times(recorder.spans, *window()).ops():
        report.ops(**op)
