"""Starting weights and orders of the images: drawn by the harness, the same for every engine."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from harness.safe import arrays, files
from harness.workload.shapes import Shape, parameter_shapes

# Streams of one block's seed. Weights and orders do not share one, so that changing the number of
# epochs leaves the starting weights as they were.
_WEIGHTS, _ORDER = 0, 1


class WeightsError(ValueError):
    """A weight file that cannot be read, or that belongs to another model."""


class UnreadableWeights(WeightsError):
    """No file of weights at all: a link, a pipe, or no archive of arrays."""


def initial_weights(model: dict[str, Any], seed: int, dtype: str) -> dict[str, np.ndarray]:
    """Glorot uniform kernels and zero biases, by their names in a weight file.

    A kernel is uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16), fans
    counted as Keras does: KH·KW·C and KH·KW·F for a convolution. The values are float32 numbers
    also where dtype is float64, so that one seed means the same weights in both.

    Args:
        model: the `model` object of a resolved workload.
        seed: the block's seed.
        dtype: "float32" or "float64".
    """
    rng = _generator(seed, _WEIGHTS)
    weights = {}
    for name, shape in parameter_shapes(model).items():
        if name.endswith(".bias"):
            weights[name] = np.zeros(shape, dtype)
        else:
            limit = math.sqrt(6.0 / sum(_fans(shape)))
            weights[name] = rng.uniform(-limit, limit, shape).astype(np.float32).astype(dtype)
    return weights


def order(seed: int, epochs: int, examples: int) -> np.ndarray:
    """One permutation of the examples per epoch, int32 (epochs, examples)."""
    rng = _generator(seed, _ORDER)
    return np.stack([rng.permutation(examples) for _ in range(epochs)]).astype(np.int32)


def save(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write a weight file: `.npz`, not compressed, complete or not there at all."""
    content = io.BytesIO()
    # savez' own keyword names are `file` and, since NumPy 2.1, `allow_pickle`; ours hold a dot
    np.savez(content, **weights)  # type: ignore[arg-type]
    files.replace(path, content.getvalue())


def file_cap(model: dict[str, Any]) -> int:
    """The most bytes that a weight file of the model may have."""
    return sum(_sizes(model).values()) + 65_536


def _sizes(model: dict[str, Any]) -> dict[str, int]:
    """The most bytes of each array: float64 values, and a generous header."""
    return {name: 8 * math.prod(shape) + 4096 for name, shape in parameter_shapes(model).items()}


def load(path: Path, model: dict[str, Any], *, below: Path | None = None) -> dict[str, np.ndarray]:
    """Read a weight file of the given model; pickles are never loaded.

    Args:
        below: the folder below which nothing may have become a link.
    Raises: FileNotFoundError; UnreadableWeights if it is no archive of arrays; WeightsError if
        names, sizes, shapes or finiteness are wrong.
    """
    expected = parameter_shapes(model)
    try:
        weights = arrays.read_npz(path, _sizes(model), below=below)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableWeights(f"weights: {path.name}: {error.strerror}.") from None
    except arrays.Unlike as error:
        raise WeightsError(f"weights: {path.name}: {error}") from None
    except arrays.ArrayError as error:
        raise UnreadableWeights(f"weights: {path.name}: {error}") from None
    for name, values in weights.items():
        if values.shape != expected[name] or values.dtype.kind != "f":
            raise WeightsError(
                f"weights: {path.name}: {name} is {values.dtype} {values.shape}, "
                f"expected floats {expected[name]}."
            )
        if not np.isfinite(values).all():
            raise WeightsError(f"weights: {path.name}: {name} holds values that are not finite.")
    return weights


def _fans(shape: Shape) -> tuple[int, int]:
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, stream]))
