"""A model: layers one after the other, and the arrays they need."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from myad.core import Tensor
from myad.errors import DTypeError, OptionError, ShapeError, WeightsError
from myad.init import initializer
from myad.nn.layer import Layer, Parameter
from myad.nn.layers import check_initializers, layer_from
from myad.ops.specs import as_operand
from myad.recording import no_grad, thread_state

# Layer i draws from the stream whose seed is shifted by i times this odd number (the golden ratio).
STREAM_STEP = 0x9E3779B9


class Sequential:
    """Layers applied one after the other.

    Args:
        layers: layers, or mappings as workload files write them ({"type": "dense", "units": 10}).
        input_shape: shape of one input, without the batch axis, (H, W, C) for images.
        dtype: "float32" or "float64", of inputs and weights.
        seed: of the first weights; `init` draws others.
    Raises: ShapeError or OptionError if a layer does not fit the one before it.

    Attributes: `parameters`, the model's own arrays, named "<index of the layer>.<name>", counting
    every layer from 0; `trainable`, the names of those that training changes by gradients.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Mapping[str, Any]],
        input_shape: Sequence[int],
        dtype: Any = "float32",
        seed: int = 0,
    ) -> None:
        self.layers = tuple(x if isinstance(x, Layer) else layer_from(x) for x in layers)
        self.input_shape = tuple(int(n) for n in input_shape)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise DTypeError(f"Sequential: dtype must be float32 or float64, not {self.dtype}.")
        if not self.layers or min(self.input_shape, default=0) < 1:
            raise OptionError("Sequential: needs a layer, and an input shape of lengths >= 1.")
        self._measure()
        self._own: dict[str, np.ndarray] | None = None
        self._seed = seed

    def _measure(self) -> None:
        self.shapes: list[tuple[int, ...]] = [self.input_shape]
        self.specs: dict[str, Parameter] = {}
        self._names: list[dict[str, str]] = []
        for i, layer in enumerate(self.layers):
            try:
                self.shapes.append(layer.output_shape(self.shapes[-1]))
            except ShapeError as fault:
                raise ShapeError(f"layer {i}, {fault}") from None
            own = layer.parameters(self.shapes[-2])
            check_initializers(own)
            self._names.append({name: f"{i}.{name}" for name in own})
            self.specs.update({f"{i}.{name}": spec for name, spec in own.items()})
        self.trainable = tuple(name for name, spec in self.specs.items() if spec.trainable)
        self.output_shape = self.shapes[-1]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The model's own arrays by name, drawn from its seed when first read."""
        if self._own is None:
            self._own = self.init(np.random.default_rng(self._seed))
        return self._own

    @parameters.setter
    def parameters(self, values: Mapping[str, Any]) -> None:
        self._own = self.check_parameters(values)

    def init(self, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Starting weights drawn from `generator`, layer by layer; the model is not changed."""
        return {
            name: initializer(spec.initializer)(generator, spec.shape).astype(self.dtype)
            for name, spec in self.specs.items()
        }

    def check_parameters(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """`values` as arrays of this model's dtype, in its order.

        Raises: WeightsError naming every missing or unknown name, or the first wrong shape.
        """
        missing = [name for name in self.specs if name not in values]
        unknown = [name for name in values if name not in self.specs]
        if missing or unknown:
            raise WeightsError(
                "weights: these are of another model."
                + (f"\n  missing: {', '.join(missing)}" if missing else "")
                + (f"\n  unknown: {', '.join(unknown)}" if unknown else "")
            )
        arrays = {}
        for name, spec in self.specs.items():
            array = np.asarray(values[name])
            if array.shape != spec.shape or array.dtype.kind != "f":
                raise WeightsError(
                    f"weights: {name} must be floating-point of shape {spec.shape},"
                    f" not {array.dtype} of shape {array.shape}."
                )
            arrays[name] = np.array(array, self.dtype)
        return arrays

    def apply(
        self,
        parameters: Mapping[str, Any],
        x: Any,
        *,
        training: bool = False,
        key: Any = None,
        activate_last: bool = True,
    ) -> tuple[Any, dict[str, Any]]:
        """The output for a batch `x` (N, *input_shape), as a pure function of its arguments.

        Args:
            parameters: arrays or tensors, named as `self.parameters`.
            training: batch statistics and dropout as in training.
            key: uint32 (2,), needed by dropout (`random_key`); use another one for every step.
            activate_last: False leaves out the last layer's activation, and returns logits.
        Returns: (output, updates): new values of the parameters that are not trained.
        """
        self._check_input(x)
        updates: dict[str, Any] = {}
        last = len(self.layers) - 1
        outer = thread_state.scope
        try:
            for i, (layer, names) in enumerate(zip(self.layers, self._names, strict=True)):
                own = {name: parameters[full] for name, full in names.items()} if names else {}
                layer_key = None if key is None else key + _stream(i)
                thread_state.scope = i
                x, changed = layer.apply(own, x, training=training, key=layer_key)
                if changed:
                    updates.update({names[name]: value for name, value in changed.items()})
                if activate_last or i < last:
                    x = layer.activate(x)
        finally:
            thread_state.scope = outer
        return x, updates

    def __call__(self, x: Any) -> Any:
        """The output for a batch with the model's own parameters, as in testing."""
        with no_grad():
            return self.apply(self.parameters, Tensor(as_operand(x)))[0]

    def _check_input(self, x: Any) -> None:
        if x.shape[1:] != self.input_shape or x.shape == ():
            raise ShapeError(
                f"model: inputs must be (N, {', '.join(map(str, self.input_shape))}), not"
                f" {tuple(x.shape)}."
            )
        if x.dtype != self.dtype:
            raise DTypeError(
                f"model: inputs must be {self.dtype}, not {x.dtype}; use astype(), or read_images"
                " for bytes."
            )

    def count_parameters(self) -> int:
        """How many numbers the model holds."""
        return sum(math.prod(spec.shape) for spec in self.specs.values())

    def summary(self) -> str:
        """A table of the layers: number, kind, output shape, parameters."""
        rows = [("", "layer", "output shape", "parameters")]
        for i, layer in enumerate(self.layers):
            names = self._names[i].values()
            count = sum(math.prod(self.specs[name].shape) for name in names)
            rows.append((str(i), layer.kind, str(("N", *self.shapes[i + 1])), f"{count:,}"))
        widths = [max(len(row[c]) for row in rows) for c in range(4)]
        lines = [
            f"{a:>{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows
        ]
        frozen = self.count_parameters() - sum(
            math.prod(self.specs[name].shape) for name in self.trainable
        )
        total = f"{self.count_parameters():,} parameters, {frozen:,} of them not trained"
        return "\n".join([*(line.rstrip() for line in lines), total])

    def __repr__(self) -> str:
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Sequential([\n{layers}], input_shape={self.input_shape}, dtype='{self.dtype}')"


def _stream(i: int) -> np.ndarray:
    return np.array([i * STREAM_STEP % 2**32, 0], np.uint32)
