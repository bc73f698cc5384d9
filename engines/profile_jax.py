"""JAX's profile in the classes of the contract: what XLA's instructions are, by the compiled text.

The trace names instructions ("ynn_fusion.7"); the text of the compiled module says where in the
program each comes from: "jit(epoch)/while/body/closed_call/transpose(jvp(layer5))/dot_general". The
scopes `layer0`, `loss` and `update` are those of `model_jax`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jax

from harness.contract import Layer, ops
from harness.contract.ops import Op, Span

EPOCH = "the profiled epoch"
LINE = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>[\w.\-]+) = (?P<type>\(.*?\)|\S+) (?P<opcode>[\w\-]+)\((?P<rest>.*)$"
)
OP_NAME = re.compile(r'op_name="([^"]*)"')
OPERAND = re.compile(r"%([\w.\-]+)")
SHAPE = re.compile(r"\[([\d,]*)\]")
LAYER = re.compile(r"\blayer(\d+)\b")

ACTIVATIONS = ("jit(relu)", "max", "select_n", "logistic", "tanh", "gt")
MOVES = (
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dynamic_slice", "gather",
    "pad", "reshape", "rev", "slice", "transpose",
)  # fmt: skip
SCOPES = {"loss": (ops.LOSS, None), "update": (ops.OPTIMIZER, ops.UPDATE)}
# Instructions that only move, by how XLA calls them.
MOVING = re.compile(r"^(copy|bitcast|transpose|slice|dynamic-slice|wrapped_transpose)")
CALLS = re.compile(r"^(while|call|conditional|async)\b")


class Instruction(NamedTuple):
    """A line of a module's text: its shape, kind and operands, and where it comes from."""

    shape: tuple[int, ...]
    opcode: str
    operands: tuple[str, ...]
    place: str


def parse(text: str) -> dict[str, Instruction]:
    """Every instruction of the text of a compiled module, by name."""
    found: dict[str, Instruction] = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        shape = SHAPE.search(match["type"])
        sizes = tuple(int(n) for n in shape[1].split(",") if n) if shape else ()
        place = OP_NAME.search(line)
        operands = tuple(OPERAND.findall(match["rest"].split(")", 1)[0]))
        found[match["name"]] = Instruction(
            sizes, match["opcode"], operands, place[1] if place else ""
        )
    return found


class Names:
    """What the events of a trace are."""

    def __init__(
        self, text: str | None, layers: Sequence[Layer], weights: dict[str, tuple]
    ) -> None:
        """Args: text: of the module. weights: shapes by name, "0.kernel"."""
        self.instructions, self.layers, self.weights = parse(text or ""), layers, weights
        self.users: dict[str, list[str]] = {}
        for name, one in self.instructions.items():
            for operand in one.operands:
                self.users.setdefault(operand, []).append(name)

    def op(self, name: str, is_instruction: bool) -> Op:
        """The operation behind an event."""
        if not is_instruction or CALLS.match(name):
            return Op(name, ops.DISPATCH)
        one = self.instructions.get(name)
        if one is None:
            return Op(name, ops.UNATTRIBUTED)
        if one.opcode not in ("dot", "convolution") and MOVING.match(name):
            return Op(name, ops.MOVEMENT)
        return self._placed(name, one, ops.nearest(name, self.users, self._place) or one.place)

    def _place(self, name: str) -> str | None:
        """Where an instruction comes from, if that says more than that it is of the program."""
        place = self.instructions[name].place
        return place if place and not place.endswith(("closed_call", "jit(epoch)/while")) else None

    def _placed(self, name: str, one: Instruction, place: str) -> Op:
        parts = re.split(r"[/()]+", place)
        for scope, (kind, part) in SCOPES.items():
            if scope in parts:
                return Op(name, kind, part)
        found = LAYER.search(place)
        if found is None or int(found[1]) >= len(self.layers):
            return self._outside(name, one, place)
        layer = int(found[1])
        kind = ops.LAYER_CLASSES.get(self.layers[layer].type, ops.UNATTRIBUTED)
        primitive = place.rsplit("/", 1)[-1]
        if kind in (ops.CONVOLUTION, ops.MATMUL) and one.opcode not in ("dot", "convolution"):
            if any(word in place.split("/") for word in ACTIVATIONS):
                kind = ops.ACTIVATION
            elif primitive in MOVES:
                kind = ops.MOVEMENT
        backward = "transpose(jvp" in place
        return Op(name, kind, self._part(one, kind, primitive, backward, layer), layer)

    def _part(
        self, one: Instruction, kind: str, primitive: str, backward: bool, layer: int
    ) -> str | None:
        if kind in (ops.MOVEMENT, ops.UNATTRIBUTED):
            return None
        if not backward:
            return ops.FORWARD
        kernel = self.weights.get(f"{layer}.kernel")
        # by hand a convolution is a product of matrices: as many numbers in another shape
        of_weights = primitive == "reduce_sum" or (
            kernel is not None and math.prod(one.shape) == math.prod(kernel)
        )
        is_product = kind in (ops.CONVOLUTION, ops.MATMUL)
        return ops.KERNEL_GRADIENT if is_product and of_weights else ops.INPUT_GRADIENT

    def _outside(self, name: str, one: Instruction, place: str) -> Op:
        """What belongs to no layer: the images as numbers, the loop, the mean of the losses."""
        if "/while/body/closed_call" in place:
            return Op(name, ops.MOVEMENT)
        if "/while" in place:
            return Op(name, ops.DISPATCH)
        if place.startswith("jit(epoch)/"):
            return Op(name, ops.LOSS)
        return Op(name, ops.UNATTRIBUTED)


def read(planes: Iterable[Any], names: Names) -> ops.Tally:
    """Own times within the marked epoch.

    Args: planes: as of `jax.profiler.ProfileData`, with lines of events. Raises: ValueError if the
        trace has no epoch.
    """
    found: list[Span] = []
    epoch: tuple[float, float] | None = None
    for plane in planes:
        for number, line in enumerate(plane.lines if plane.name == "/host:CPU" else ()):
            for event in line.events:
                start = 1e-9 * event.start_ns
                end = start + 1e-9 * event.duration_ns
                if event.name == EPOCH:
                    epoch = start, end
                elif event.duration_ns:
                    ours = any(name == "hlo_op" for name, _ in event.stats)
                    found.append(Span(names.op(event.name, ours), start, end, (number, line.name)))
    if epoch is None:
        raise ValueError("profile: the trace of JAX holds no epoch.")
    return ops.own_times(found, *epoch)


@contextmanager
def recorded(names: Names, report: Any) -> Iterator[None]:
    """A context whose work is traced and reported."""
    options = jax.profiler.ProfileOptions()
    options.host_tracer_level = 3  # XLA's instructions
    options.python_tracer_level = 0
    with TemporaryDirectory() as folder:
        jax.profiler.start_trace(folder, profiler_options=options)
        try:
            with jax.profiler.TraceAnnotation(EPOCH):
                yield
        finally:
            jax.profiler.stop_trace()
        (path,) = Path(folder).glob("**/*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
    for op in read(data.planes, names).ops():
        report.ops(**op)
