"""TensorFlow's profile in the classes of the contract, read from the `.xplane.pb` that it writes.

Operations of the graph are named "…/layer2_1/Relu:_MklNativeFusedConv2D", their place in the graph
and their kind. What XLA has compiled shows as instructions, whose place in the graph is in the
module that lies in the same file. The rest is TensorFlow's own: its executor, its input pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from harness.contract import Layer, ops
from harness.contract.ops import Op, Span

WARM_UP = 4  # steps of a training function before it is profiled
EXECUTOR = "ExecutorState::Process"
EPOCH, AROUND = "the profiled epoch", "around the profiled epoch"
LAYER = re.compile(r"(?:^|/)layer(\d+)(?:_\d+)?(?:/|$)")
OWN_PREFIX = re.compile(r"^_Mkl(Native)?(Fused)?|^_?Fused|^_")

# Kinds of operations, without the prefixes of oneDNN's own. Where several layers use one kind
# (`BiasAdd`), the layer decides: ops.LAYER_CLASSES.
CLASSES: dict[str, str] = {
    "Conv2D": ops.CONVOLUTION,
    "Conv2DBackpropInput": ops.CONVOLUTION,
    "Conv2DBackpropFilter": ops.CONVOLUTION,
    "Conv2DBackpropFilterWithBias": ops.CONVOLUTION,
    "MatMul": ops.MATMUL,
    "MaxPool": ops.POOLING,
    "MaxPoolGrad": ops.POOLING,
    "AvgPool": ops.POOLING,
    "AvgPoolGrad": ops.POOLING,
    "Relu": ops.ACTIVATION,
    "ReluGrad": ops.ACTIVATION,
    "Sigmoid": ops.ACTIVATION,
    "SigmoidGrad": ops.ACTIVATION,
    "Tanh": ops.ACTIVATION,
    "TanhGrad": ops.ACTIVATION,
    "FusedBatchNormV3": ops.NORMALISATION,
    "FusedBatchNormGradV3": ops.NORMALISATION,
    "SparseSoftmaxCrossEntropyWithLogits": ops.LOSS,
    "Softmax": ops.LOSS,
    "LogSoftmax": ops.LOSS,
    "Reshape": ops.MOVEMENT,
    "Transpose": ops.MOVEMENT,
    "GatherV2": ops.MOVEMENT,
    "Slice": ops.MOVEMENT,
    "StridedSlice": ops.MOVEMENT,
    "ConcatV2": ops.MOVEMENT,
    "Pack": ops.MOVEMENT,
    "IteratorGetNext": ops.MOVEMENT,
    "ToTf": ops.MOVEMENT,
    "ReadVariableOp": ops.DISPATCH,
    "Const": ops.DISPATCH,
    "Identity": ops.DISPATCH,
    "NoOp": ops.DISPATCH,
    "Send": ops.DISPATCH,
    "Recv": ops.DISPATCH,
    "Placeholder": ops.DISPATCH,
    "StatefulPartitionedCall": ops.DISPATCH,
    "XlaLaunch": ops.DISPATCH,
    "While": ops.DISPATCH,
    "If": ops.DISPATCH,
}
OPTIMIZERS, LOSSES = ("sgd", "adam"), ("compile_loss", "loss", "sparse_categorical_crossentropy")
# What Keras does with the mean of the losses, in no scope of its own.
BOOKKEEPING = {
    "AddV2", "AddN", "AssignAddVariableOp", "AssignVariableOp", "Cast", "DivNoNan", "Mul", "Sum",
    "Mean", "RealDiv", "Sub", "Greater", "SelectV2",
}  # fmt: skip
# Stages of the input pipeline that copy images; the others hand batches from thread to thread.
COPYING = ("BatchV2", "Batch", "TensorSlice")
PIPELINE = ("Iterator::", "MakeIterator::", "Prefetch", "ParallelMap", "IteratorGetNext")
# XLA's instructions that only move, by what their names are made of.
MOVES = re.compile(r"^(copy|bitcast|transpose|slice|dynamic-slice|dynamic-update-slice)")


class Mark(keras.callbacks.Callback):
    """Writes the epoch itself into the trace, from the moments at which it is timed."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Open the mark."""
        self._mark = tf.profiler.experimental.Trace(EPOCH)
        self._mark.__enter__()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Close it."""
        self._mark.__exit__(None, None, None)


@contextmanager
def recorded(layers: Sequence[Layer], report: Any) -> Iterator[None]:
    """A context whose work is traced and reported."""
    # level 3: cheap operations are left out below. Python's calls would cost more than they say.
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options=options)
        try:
            with tf.profiler.experimental.Trace(AROUND):
                yield
        finally:
            tf.profiler.experimental.stop()
        (path,) = Path(folder).glob("**/*.xplane.pb")
        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
    for op in read(space, layers).ops():
        report.ops(**op)


def read(space: Any, layers: Sequence[Layer]) -> ops.Tally:
    """Own times of the operations of an XSpace, within the marked epoch.

    Raises: ValueError if the trace has no epoch.
    """
    names = _Names(space, layers)
    found, marks = [], {}
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                start = 1e-9 * line.timestamp_ns + 1e-12 * event.offset_ps
                end = start + 1e-12 * event.duration_ps
                if name in (EPOCH, AROUND):
                    marks[name] = (start, end)
                elif event.duration_ps:
                    hlo = _statistic(plane, event, "hlo_op")
                    found.append(Span(names.op(name, hlo), start, end, line.id))
    if not marks:
        raise ValueError("profile: the trace of TensorFlow holds no epoch.")
    return ops.own_times(found, *marks.get(EPOCH, marks.get(AROUND, (0.0, 0.0))))


def _statistic(plane: Any, event: Any, wanted: str) -> str | None:
    for stat in event.stats:
        if plane.stat_metadata[stat.metadata_id].name == wanted:
            if stat.WhichOneof("value") == "ref_value":
                return str(plane.stat_metadata[stat.ref_value].name)
            return str(stat.str_value)
    return None


class _Names:
    """What the events of a trace are, each name looked at once."""

    def __init__(self, space: Any, layers: Sequence[Layer]) -> None:
        self.layers = layers
        types = [layer.type for layer in layers]
        self.first = next((n for n, t in enumerate(types) if t in ("conv2d", "dense")), 0)
        self.known: dict[tuple[str, str | None], Op] = {}
        self.instructions: dict[str, Any] = {}
        self.users: dict[str, list[str]] = {}
        self.sources: dict[str, list[str]] = {}
        for plane in space.planes:
            for event in plane.event_metadata.values() if plane.name == "/host:metadata" else ():
                for stat in event.stats:
                    self._add(stat.bytes_value)

    def _add(self, content: bytes) -> None:
        module = hlo_pb2.HloProto()
        module.ParseFromString(content)
        for computation in module.hlo_module.computations:
            by_id = {one.id: one.name for one in computation.instructions}
            for one in computation.instructions:
                self.instructions[one.name] = one
                self.sources[one.name] = [by_id[n] for n in one.operand_ids]
                for source in self.sources[one.name]:
                    self.users.setdefault(source, []).append(one.name)

    def op(self, name: str, hlo: str | None) -> Op:
        """The operation of an event: its name, or the instruction of XLA's that it ran."""
        if (name, hlo) not in self.known:
            self.known[name, hlo] = self._instruction(hlo) if hlo else self._own(name)
        return self.known[name, hlo]

    def _own(self, name: str) -> Op:
        place, colon, kind = name.rpartition(":")
        if name.startswith(PIPELINE):
            stage = name.split(" ")[0].rpartition("::")[2]
            return Op(name.split("[")[0], ops.MOVEMENT if stage in COPYING else ops.DISPATCH)
        if name == EXECUTOR:
            return Op(f"{name}, with operations too cheap to be traced", ops.DISPATCH)
        if not colon or "::" in name or " " in name:
            return Op(name.split(":")[0], ops.DISPATCH)
        kind = OWN_PREFIX.sub("", kind)
        # a fused operation's own name says which of the kinds it is
        fused = {"Conv2D": "Conv2D", "MatMul": "MatMul"}.get(kind, kind)
        return self._placed(place, fused, f"{kind} {_tail(place)}")

    def _instruction(self, hlo: str) -> Op:
        one = self.instructions.get(hlo)
        if one is None:
            return Op(hlo, ops.UNATTRIBUTED)
        if one.metadata.op_name and one.opcode != "copy":
            return self._placed(one.metadata.op_name, one.metadata.op_type, hlo)
        if one.opcode == "convolution":
            source = ops.nearest(hlo, self.sources, self._layer)
            return Op(hlo, ops.CONVOLUTION, ops.KERNEL_GRADIENT, source)
        if MOVES.match(hlo):
            return Op(hlo, ops.MOVEMENT)
        user = ops.nearest(hlo, self.users, self._label)
        return self._placed(user[0], user[1], hlo) if user else Op(hlo, ops.UNATTRIBUTED)

    def _label(self, name: str) -> tuple[str, str] | None:
        found = self.instructions[name].metadata
        return (found.op_name, found.op_type) if found.op_name else None

    def _layer(self, name: str) -> int | None:
        return _layer_of(self.instructions[name].metadata.op_name)

    def _placed(self, place: str, kind: str, name: str) -> Op:
        """The operation of a kind at a place of the graph."""
        scopes = [scope.rstrip("0123456789").rstrip("_") for scope in place.split("/")]
        if any(scope in OPTIMIZERS for scope in scopes):
            return Op(name, ops.OPTIMIZER, ops.UPDATE)
        backward = "gradient_tape" in scopes
        if any(scope in LOSSES for scope in scopes):
            return Op(name, ops.LOSS, ops.INPUT_GRADIENT if backward else ops.FORWARD)
        layer = _layer_of(place)
        known = CLASSES.get(kind)
        if layer is not None and layer < len(self.layers) and known is None:
            known = ops.LAYER_CLASSES.get(self.layers[layer].type)
        if known is None and layer is None and kind in BOOKKEEPING:
            known = ops.LOSS
        if known is None:
            known = ops.MOVEMENT if kind.endswith(("Dataset", "DatasetV2")) else ops.UNATTRIBUTED
        return Op(name, known, self._part(place, kind, known, backward, layer), layer)

    def _part(
        self, place: str, kind: str, known: str, backward: bool, layer: int | None
    ) -> str | None:
        if known in (ops.DISPATCH, ops.MOVEMENT, ops.UNATTRIBUTED):
            return None
        if not backward:
            return ops.FORWARD
        # of a product's two gradients, "MatMul/MatMul" is that of the input, if there is one
        second = place.endswith("_1") or layer == self.first
        kernel = kind.startswith(("Conv2DBackpropFilter", "BiasAdd", "Sum")) or (
            kind == "MatMul" and second
        )
        return ops.KERNEL_GRADIENT if kernel else ops.INPUT_GRADIENT


def _layer_of(place: str) -> int | None:
    found = LAYER.search(place)
    return int(found[1]) if found else None


def _tail(place: str) -> str:
    """The place in the graph from the layer on."""
    return "/".join(part for part in place.split("/") if part != "StatefulPartitionedCall")[-80:]
