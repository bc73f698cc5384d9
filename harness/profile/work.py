"""What one training step has to do: floating-point operations and bytes, by layer, class and pass.

The numbers follow from the shapes alone and are the same for every engine, however it computes. A
multiply-add counts as two operations; a comparison, an exponential and a square root as one each.
Bytes are those of every operand read once and every result written once: what even a perfect cache
cannot save. The first layer's input gradient is needed by nobody and counts as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from harness.contract import ops
from harness.workload.shapes import parameter_count, parameter_shapes

BYTES = {"float32": 4, "float64": 8}
POOL_FLOP = {"max_pooling2d": (-1, 0), "average_pooling2d": (0, 1)}
# Operations per parameter, and numbers read or written per parameter.
# sgd: θ − αg. momentum: μv − αg, θ + v. adam: m and v (3 and 4), α·m/(√v + ε), θ − … (5).
OPTIMIZERS = {"sgd": (2, 3), "momentum": (4, 5), "adam": (12, 7)}
# Softmax with cross-entropy, per logit: maximum, difference, exponential, sum; and backward a
# quotient and a difference.
LOSS_FLOP = 6


class Work(NamedTuple):
    """Of one step: `flop` operations and at least `bytes` moved."""

    layer: int | None
    kind: str
    part: str | None
    flop: float
    bytes: float


def step_work(workload: dict[str, Any]) -> list[Work]:
    """The work of one full training step of a resolved workload."""
    model, training = workload["model"], workload["training"]
    batch, width = training["batch_size"], BYTES[training["dtype"]]
    pixels = batch * math.prod(model["input_shape"])
    found = [Work(None, ops.MOVEMENT, ops.FORWARD, pixels, pixels * (1 + width))]
    found += _layers(model, batch, width)
    logits = batch * model["classes"]
    found.append(Work(None, ops.LOSS, None, LOSS_FLOP * logits, 3 * logits * width))
    count = parameter_count(model)
    rule = training["optimizer"]
    each, moved = OPTIMIZERS["momentum" if rule == "sgd" and training["momentum"] else rule]
    found.append(Work(None, ops.OPTIMIZER, ops.UPDATE, each * count, moved * count * width))
    return found


def total(work: list[Work], kind: str, part: str | None) -> tuple[float, float]:
    """FLOP and bytes of one step in a class; of one pass of it, if `part` is given."""
    chosen = [w for w in work if w.kind == kind and part in (None, w.part)]
    return sum(w.flop for w in chosen), sum(w.bytes for w in chosen)


def _layers(model: dict[str, Any], batch: int, width: int) -> Iterator[Work]:
    shapes = parameter_shapes(model)
    before = tuple(model["input_shape"])
    learned = False  # whether anything before this layer needs a gradient
    for index, layer in enumerate(model["layers"]):
        after = tuple(layer["output_shape"])
        into, out = batch * math.prod(before), batch * math.prod(after)
        kernel = shapes.get(f"{index}.kernel")
        if kernel is not None:
            bias = math.prod(shapes.get(f"{index}.bias", (0,)))
            yield from _product(index, layer["type"], kernel, bias, into, out, learned, width)
            learned = True
        elif layer["type"] in POOL_FLOP:
            window = math.prod(layer["pool_size"])
            less, share = POOL_FLOP[layer["type"]]
            moved = (into + out) * width
            yield Work(index, ops.POOLING, ops.FORWARD, (window + less) * out, moved)
            yield Work(index, ops.POOLING, ops.INPUT_GRADIENT, share * out, moved)
        last = index == len(model["layers"]) - 1
        elementwise = layer["type"] == "dropout" or layer.get("activation", "linear") != "linear"
        if elementwise and not last:  # the last one is part of the loss
            yield Work(index, ops.ACTIVATION, ops.FORWARD, out, 2 * out * width)
            yield Work(index, ops.ACTIVATION, ops.INPUT_GRADIENT, out, 3 * out * width)
        before = after


def _product(
    index: int, layer: str, kernel: tuple[int, ...], bias: int, into: int, out: int,
    learned: bool, width: int,
) -> Iterator[Work]:  # fmt: skip
    """The three passes of a convolution or a dense layer, its bias included."""
    kind = ops.CONVOLUTION if layer == "conv2d" else ops.MATMUL
    weights = math.prod(kernel)
    products = 2 * out * weights // kernel[-1]  # each output is a sum over the kernel of a filter
    add = out if bias else 0
    moved = (into + out + weights) * width
    yield Work(index, kind, ops.FORWARD, products + add, moved + bias * width)
    if learned:
        yield Work(index, kind, ops.INPUT_GRADIENT, products, moved)
    yield Work(index, kind, ops.KERNEL_GRADIENT, products + add, moved + bias * width)
