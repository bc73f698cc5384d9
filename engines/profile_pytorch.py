"""PyTorch's profile in the classes of the contract: names of its operators, and what they are.

Operators run inside one another on a thread; `ops.own_times` gives each its own time. Wrappers such
as `aten::conv2d` have only the dispatcher's. A layer is known by the order of the forward
operators, backward operators by the sequence number that they share with a forward one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.contract import ops
from harness.contract.ops import Op, Span

CONVOLUTION_BACKWARD = "aten::convolution_backward"
NODE = "autograd::engine::evaluate_function: "

# A name, or the beginning of names where it ends in *; the longest that fits counts.
CLASSES: dict[str, str] = {
    "aten::mkldnn_convolution": ops.CONVOLUTION,
    "aten::_slow_conv2d_forward": ops.CONVOLUTION,
    "aten::thnn_conv2d": ops.CONVOLUTION,
    "aten::_nnpack_spatial_convolution": ops.CONVOLUTION,
    CONVOLUTION_BACKWARD: ops.CONVOLUTION,
    "aten::_slow_conv2d_backward": ops.CONVOLUTION,
    "aten::addmm": ops.MATMUL,
    "aten::mm": ops.MATMUL,
    "aten::addmv": ops.MATMUL,
    "aten::max_pool2d*": ops.POOLING,
    "aten::_adaptive_avg_pool2d*": ops.POOLING,
    "aten::avg_pool2d*": ops.POOLING,
    "aten::relu*": ops.ACTIVATION,
    "aten::clamp_min*": ops.ACTIVATION,
    "aten::threshold_backward": ops.ACTIVATION,
    "aten::sigmoid*": ops.ACTIVATION,
    "aten::tanh*": ops.ACTIVATION,
    "aten::dropout": ops.ACTIVATION,
    "aten::native_dropout*": ops.ACTIVATION,
    "aten::bernoulli_": ops.ACTIVATION,
    "aten::native_batch_norm*": ops.NORMALISATION,
    "aten::batch_norm": ops.NORMALISATION,
    "aten::_log_softmax*": ops.LOSS,
    "aten::nll_loss*": ops.LOSS,
    "aten::_foreach_*": ops.OPTIMIZER,
    # views, new memory and copies
    "aten::as_strided*": ops.MOVEMENT,
    "aten::clone": ops.MOVEMENT,
    "aten::contiguous": ops.MOVEMENT,
    "aten::constant_pad_nd": ops.MOVEMENT,
    "aten::copy_": ops.MOVEMENT,
    "aten::_to_copy": ops.MOVEMENT,
    "aten::empty*": ops.MOVEMENT,
    "aten::expand": ops.MOVEMENT,
    "aten::fill_": ops.MOVEMENT,
    "aten::flatten": ops.MOVEMENT,
    "aten::index": ops.MOVEMENT,
    "aten::narrow": ops.MOVEMENT,
    "aten::new_*": ops.MOVEMENT,
    "aten::ones_like": ops.MOVEMENT,
    "aten::pad": ops.MOVEMENT,
    "aten::reshape": ops.MOVEMENT,
    "aten::resize_*": ops.MOVEMENT,
    "aten::select": ops.MOVEMENT,
    "aten::slice": ops.MOVEMENT,
    "aten::split": ops.MOVEMENT,
    "aten::stack": ops.MOVEMENT,
    "aten::cat": ops.MOVEMENT,
    "aten::t": ops.MOVEMENT,
    "aten::transpose": ops.MOVEMENT,
    "aten::to": ops.MOVEMENT,
    "aten::unsqueeze": ops.MOVEMENT,
    "aten::view": ops.MOVEMENT,
    "aten::_reshape_alias": ops.MOVEMENT,
    "aten::zero_": ops.MOVEMENT,
    "aten::zeros*": ops.MOVEMENT,
    # what only calls others
    "aten::conv2d": ops.DISPATCH,
    "aten::convolution": ops.DISPATCH,
    "aten::_convolution": ops.DISPATCH,
    "aten::linear": ops.DISPATCH,
    "aten::log_softmax": ops.DISPATCH,
    "aten::cross_entropy_loss": ops.DISPATCH,
    "aten::detach*": ops.DISPATCH,
    "detach*": ops.DISPATCH,
    "aten::item": ops.DISPATCH,
    "aten::resolve_*": ops.DISPATCH,
    "aten::lift_fresh": ops.DISPATCH,
    "aten::result_type": ops.DISPATCH,
    "aten::alias": ops.DISPATCH,
    "aten::_local_scalar_dense": ops.DISPATCH,
    "aten::is_nonzero": ops.DISPATCH,
    "autograd::*": ops.DISPATCH,
    "torch::autograd::*": ops.DISPATCH,
    "[memory]": ops.DISPATCH,
}
# What an operator is that many layers use, by the layer or the node of the record it runs for.
WITHIN: dict[str, str] = {
    "AddmmBackward0": ops.MATMUL,
    "ConvolutionBackward0": ops.CONVOLUTION,
    "MaxPool2DWithIndicesBackward0": ops.POOLING,
    "AvgPool2DBackward0": ops.POOLING,
}
BY_NODE = ("aten::sum", "aten::mul", "aten::div", "aten::div_", "aten::add_", "aten::add")
LOOP_END = ("aten::stack", "aten::sum", "aten::mul", "aten::div", "aten::to", "aten::_to_copy")
LAYER_OPERATORS = {
    "Conv2d": "aten::conv2d",
    "Linear": "aten::linear",
    "ReLU": "aten::relu",
    "Sigmoid": "aten::sigmoid",
    "Tanh": "aten::tanh",
    "MaxPool2d": "aten::max_pool2d",
    "AvgPool2d": "aten::avg_pool2d",
    "Flatten": "aten::flatten",
    "Dropout": "aten::dropout",
    "Padding": "aten::pad",
}


def class_of(name: str) -> str:
    """The class of an operator by its name alone."""
    if name in CLASSES:
        return CLASSES[name]
    fits = [key for key in CLASSES if key.endswith("*") and name.startswith(key[:-1])]
    if fits:
        return CLASSES[max(fits, key=len)]
    # a node of the record around its operators: "ReluBackward0"
    return ops.DISPATCH if name.endswith("Backward0") else ops.UNATTRIBUTED


def spans(
    events: Sequence[Any], modules: Sequence[tuple[str, int]],
    shares: Mapping[int, float] | None = None, origin: float = 0.0,
) -> Iterator[Span]:  # fmt: skip
    """Spans of the events of `torch.profiler`, as `prof.events()` gives them.

    Args:
        events: with `name`, `thread`, `time_range` (µs), `sequence_nr`, `cpu_parent`.
        modules: class name and layer of every module of the network, in order.
        shares: by layer, which part of a convolution's backward operator is the input gradient.
        origin: what is subtracted from times, in seconds.
    """
    ordered = sorted(events, key=lambda event: event.time_range.start)
    layers = _forward_layers(ordered, modules)
    by_sequence = {
        event.sequence_nr: layers[id(event)]
        for event in ordered
        if event.sequence_nr >= 0 and id(event) in layers and not _node_of(event)
    }
    products: dict[int, int] = {}  # by node of the record: matrix products seen so far
    first = min((layer for name, layer in modules if name in ("Conv2d", "Linear")), default=0)
    for event in ordered:
        node = _node_of(event)
        layer = layers.get(id(event))
        if node is not None:
            layer = by_sequence.get(node.sequence_nr)
        start, end = (1e-6 * t - origin for t in (event.time_range.start, event.time_range.end))
        kind = _kind(event, node)
        part = _part(event, node, kind, products, layer == first)
        if event.name == CONVOLUTION_BACKWARD:
            yield from _both_gradients(event, layer, start, end, (shares or {}).get(layer or 0, 0))
        else:
            yield Span(Op(event.name, kind, part, layer), start, end, event.thread)


def _both_gradients(
    event: Any, layer: int | None, start: float, end: float, share: float
) -> Iterator[Span]:
    """One operator makes both gradients: its time, divided as they take it one by one."""
    middle = start + share * (end - start)
    for part, begin, stop in (
        (ops.INPUT_GRADIENT, start, middle), (ops.KERNEL_GRADIENT, middle, end),
    ):  # fmt: skip
        if stop > begin:
            yield Span(Op(event.name, ops.CONVOLUTION, part, layer), begin, stop, event.thread)


def _forward_layers(ordered: Iterable[Any], modules: Sequence[tuple[str, int]]) -> dict[int, int]:
    """The layer of every forward event, by id: modules call one known operator each, in order."""
    wanted = [(LAYER_OPERATORS[name], layer) for name, layer in modules if name in LAYER_OPERATORS]
    found: dict[int, int] = {}
    place = 0
    for event in ordered:
        parent = event.cpu_parent
        if parent is not None:
            if id(parent) in found:
                found[id(event)] = found[id(parent)]
        elif event.name == "aten::cross_entropy_loss":
            place = 0
        elif place < len(wanted) and event.name == wanted[place][0]:
            found[id(event)] = wanted[place][1]
            place += 1
    return found


def _node_of(event: Any) -> Any:
    """The node of the record that `event` runs for; None in the forward pass."""
    while event is not None:
        if event.name.startswith(NODE):
            return event
        event = event.cpu_parent
    return None


def _kind(event: Any, node: Any) -> str:
    if event.name in BY_NODE:
        if node is not None:
            return WITHIN.get(node.name.removeprefix(NODE), ops.UNATTRIBUTED)
        if event.cpu_parent is not None and event.cpu_parent.name.startswith("aten::_foreach"):
            return ops.OPTIMIZER
        if event.name in LOOP_END:  # the mean of the losses, once an epoch
            return ops.LOSS
    return class_of(event.name)


def _part(event: Any, node: Any, kind: str, products: dict[int, int], is_first: bool) -> str | None:
    if kind == ops.OPTIMIZER:
        return ops.UPDATE
    if kind in (ops.DISPATCH, ops.MOVEMENT, ops.UNATTRIBUTED):
        return None
    if node is None:
        return ops.FORWARD
    if kind not in (ops.MATMUL, ops.CONVOLUTION):
        return ops.INPUT_GRADIENT
    if event.name == "aten::mm":  # the first operand's gradient comes first, if it is asked for
        products[id(node)] = products.get(id(node), 0) + 1
        if products[id(node)] == 1 and not is_first:
            return ops.INPUT_GRADIENT
    return ops.KERNEL_GRADIENT


def gradient_shares(network: Any, batches: Sequence[Any]) -> dict[int, float]:
    """By layer, which part of both gradients of a convolution is that of its input, measured: one
    operator makes both, and can be asked for either alone.

    Args: network: as in `model_pytorch`. batches: images of some steps, (B, C, H, W).
    """
    import torch

    seconds: dict[tuple[int, bool], float] = {}
    with torch.no_grad():
        for batch in batches:
            x, is_first = batch, True
            for module, layer in zip(network.steps, network.step_layers, strict=True):
                z = module(x)
                if isinstance(module, torch.nn.Conv2d) and not is_first:
                    for of_input in (True, False):
                        spent = _gradient_seconds(module, x, z, of_input)
                        before = seconds.get((layer, of_input), spent)
                        seconds[layer, of_input] = min(before, spent)
                is_first = is_first and not isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
                x = z
    layers = {layer for layer, _ in seconds}
    return {n: seconds[n, True] / (seconds[n, True] + seconds[n, False]) for n in layers}


def _gradient_seconds(module: Any, x: Any, z: Any, of_input: bool) -> float:
    """How long one gradient of a convolution takes, given its input and an output's shape."""
    import torch

    mask = [of_input, not of_input, not of_input and module.bias is not None]
    dz = torch.ones_like(z)
    start = time.perf_counter()
    torch.ops.aten.convolution_backward(
        dz, x, module.weight, [module.out_channels], module.stride, module.padding,
        module.dilation, False, [0, 0], module.groups, mask,
    )  # fmt: skip
    return time.perf_counter() - start
