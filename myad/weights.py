"""Weights on disk, and to and from Keras."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from myad.errors import WeightsError
from myad.nn import Sequential


def save(model: Sequential, path: str | Path) -> None:
    """Write the model's parameters to an `.npz` file, whole or not at all.

    The file holds one array per parameter, "<layer index>.<name>"; nothing in it is pickled.
    """
    import tempfile  # not at the top: it costs a tenth of importing this package

    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **model.parameters)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(model: Sequential, path: str | Path) -> None:
    """Read the model's parameters from a file that `save` wrote.

    Raises: WeightsError if the file is damaged, holds pickles, or is of another model: names,
        shapes and finiteness are checked before the model is changed. OSError if it is not there.
    """
    model.parameters = read_weights(path)


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name. Raises: WeightsError, OSError."""
    import zipfile  # as above
    import zlib

    try:
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as fault:
        raise WeightsError(f"weights: {path} is no readable .npz file: {fault}.") from fault
    bad = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise WeightsError(f"weights: {path} holds NaN or infinity in {', '.join(bad)}.")
    return arrays


def to_keras(model: Sequential, keras_model: Any) -> None:
    """Copy the parameters into a Keras model of the same layers.

    Raises: WeightsError if the layers do not hold the same arrays.
    """
    ours = model.parameters
    for variable, name in _pairs(model, keras_model):
        variable.assign(ours[name])


def from_keras(model: Sequential, keras_model: Any) -> None:
    """Copy the parameters of a Keras model of the same layers.

    Raises: WeightsError if the layers do not hold the same arrays.
    """
    model.parameters = {
        name: np.asarray(variable.numpy()) for variable, name in _pairs(model, keras_model)
    }


def _pairs(model: Sequential, keras_model: Any) -> list[tuple[Any, str]]:
    # keras.Input is no layer of a Sequential; a functional model lists it
    layers = [x for x in keras_model.layers if type(x).__name__ != "InputLayer"]
    theirs = {
        f"{i}.{variable.name}": variable
        for i, layer in enumerate(layers)
        for variable in layer.variables
        if "seed" not in variable.name  # the state of Keras' random generators, in Dropout
    }
    shapes = {name: tuple(variable.shape) for name, variable in theirs.items()}
    ours = {name: spec.shape for name, spec in model.specs.items()}
    if shapes != ours:
        different = sorted(shapes.items() ^ ours.items())
        raise WeightsError(
            "weights: the Keras model holds other arrays than this one:"
            + "".join(f"\n  {name} {shape}" for name, shape in different)
        )
    return [(theirs[name], name) for name in ours]
