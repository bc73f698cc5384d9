"""A small automatic differentiation and CNN library: eager by default, compiled when asked.

import myad
gradient = myad.grad(lambda x: (x * x).sum())(x)

Operations live in `myad.ops`, layers in `myad.nn`; what is used most is here. docs/myad.md is the
tour.
"""

import importlib
from typing import Any

from myad import errors, init, nn, ops, optim, schedules
from myad.callbacks import Callback, EarlyStopping
from myad.core import AbstractValue, Primitive, Spec, Tensor, primitive
from myad.errors import MyadError
from myad.gradcheck import check_gradient
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
from myad.ops import (
    absolute,
    average_pooling2d,
    broadcast_to,
    cast,
    clip,
    concatenate,
    conv2d,
    cos,
    einsum,
    elu,
    exp,
    floor,
    leaky_relu,
    log,
    log_softmax,
    logsumexp,
    matmul,
    max,
    max_pooling2d,
    maximum,
    mean,
    min,
    minimum,
    one_hot,
    pad,
    power,
    random_key,
    random_uniform,
    relu,
    reshape,
    sigmoid,
    sign,
    silu,
    sin,
    softmax,
    softplus,
    sparse_softmax_cross_entropy,
    sqrt,
    stack,
    stop_gradient,
    sum,
    take,
    tanh,
    transpose,
    var,
    where,
)
from myad.optim import SGD, Adam, RMSprop
from myad.recording import no_grad
from myad.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay
from myad.step import read_images, training_step
from myad.train import History, evaluate, fit, predict
from myad.transforms import grad, hessian_vector_product, jacobian, jvp, value_and_grad, vjp
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
    "absolute",
    "average_pooling2d",
    "broadcast_to",
    "cast",
    "check_gradient",
    "clip",
    "concatenate",
    "conv2d",
    "cos",
    "einsum",
    "elu",
    "errors",
    "evaluate",
    "exp",
    "fit",
    "floor",
    "from_keras",
    "grad",
    "hessian_vector_product",
    "init",
    "jacobian",
    "jvp",
    "keep_freed_memory",
    "leaky_relu",
    "load",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pooling2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "nn",
    "no_grad",
    "one_hot",
    "ops",
    "optim",
    "pad",
    "power",
    "predict",
    "primitive",
    "random_key",
    "random_uniform",
    "read_images",
    "relu",
    "reshape",
    "save",
    "schedules",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sparse_softmax_cross_entropy",
    "sqrt",
    "stack",
    "stop_gradient",
    "sum",
    "take",
    "tanh",
    "to_keras",
    "training_step",
    "transpose",
    "value_and_grad",
    "var",
    "vjp",
    "where",
]
