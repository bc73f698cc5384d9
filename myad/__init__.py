"""A small automatic differentiation and CNN library: eager by default, compiled when asked.

import myad
gradient = myad.grad(lambda x: (x * x).sum())(x)

Operations live in `myad.ops`, layers in `myad.nn`; what is used most is here. docs/myad.md is the
tour.
"""

import importlib
from typing import Any

from myad import errors, init, linalg, nn, ops, optim, schedules
from myad.batching import vmap
from myad.callbacks import Callback, EarlyStopping
from myad.control import (
    checkpoint,
    cond,
    custom_jvp,
    custom_vjp,
    fori_loop,
    scan,
    while_loop,
)
from myad.core import AbstractValue, Primitive, Spec, Tensor, primitive
from myad.errors import MyadError
from myad.gradcheck import check_gradient
from myad.loading import LOADED_NS as _loaded_ns  # noqa: F401 (read before the rest changes)
from myad.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from myad.memory import keep_freed_memory
from myad.nn import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    MaxPool2D,
    Sequential,
)
from myad.ops import *  # noqa: F403 (its `__all__` is the one list of their names)
from myad.optim import SGD, Adam, RMSprop
from myad.recording import no_grad
from myad.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay
from myad.step import read_images, training_step
from myad.train import History, evaluate, fit, predict
from myad.transforms import (
    grad,
    hessian,
    hessian_vector_product,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from myad.weights import from_keras, load, save, to_keras

__version__ = "0.1.0"

_COMPILED = {
    "compile_predict": "myad.compiled",
    "compile_training": "myad.compiled",
    "jit": "myad.compile",
}


def __getattr__(name: str) -> Any:
    """The compiler's entry points, imported when first asked for: they need llvmlite."""
    if name in _COMPILED:
        return getattr(importlib.import_module(_COMPILED[name]), name)
    raise AttributeError(f"module 'myad' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_COMPILED})


__all__ = [
    "SGD",
    "AbstractValue",
    "Activation",
    "Adam",
    "AveragePooling2D",
    "BatchNormalization",
    "BinaryCrossentropy",
    "Callback",
    "CategoricalCrossentropy",
    "Conv2D",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "Flatten",
    "GlobalAveragePooling2D",
    "History",
    "MaxPool2D",
    "MeanSquaredError",
    "MyadError",
    "PiecewiseConstantDecay",
    "Primitive",
    "RMSprop",
    "Sequential",
    "SparseCategoricalCrossentropy",
    "Spec",
    "Tensor",
    "__version__",
    "check_gradient",
    "checkpoint",
    "cond",
    "custom_jvp",
    "custom_vjp",
    "errors",
    "evaluate",
    "fit",
    "fori_loop",
    "from_keras",
    "grad",
    "hessian",
    "hessian_vector_product",
    "init",
    "jacobian",
    "jvp",
    "linalg",
    "keep_freed_memory",
    "load",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "predict",
    "primitive",
    "read_images",
    "save",
    "scan",
    "schedules",
    "to_keras",
    "training_step",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
    *ops.__all__,
]
