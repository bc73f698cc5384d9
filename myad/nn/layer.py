"""What every layer is: data, with rules for its sizes, its parameters and its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from myad.init import Initializer

Shape = tuple[int, ...]
Values = Mapping[str, Any]


class Parameter(NamedTuple):
    """Shape and first value of one array of a layer, and whether gradients change it."""

    shape: Shape
    initializer: str | Initializer
    trainable: bool = True


@dataclass(frozen=True)
class Layer:
    """What all layers have in common. Shapes leave the batch axis out."""

    kind: ClassVar[str]

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The arrays of this layer for inputs of `shape`, by name."""
        return {}

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for inputs of `shape`. Raises ShapeError if they do not fit."""
        return shape

    def apply(
        self, parameters: Values, x: Any, *, training: bool, key: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The output for a batch `x`, and new values of parameters that are not trained."""
        return self.call(parameters, x), {}

    def call(self, parameters: Values, x: Any) -> Any:
        """The output of a layer that has no state and is the same in training and testing."""
        raise NotImplementedError

    def activate(self, x: Any) -> Any:
        """The layer's activation, if it has one."""
        return x
