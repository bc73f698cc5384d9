"""The operations, one file per family; importing this installs the operators of Tensor.

The names here are what users call: they take numbers and lists too, negative axes, -1 in a shape.
The primitives beneath them want their static parameters complete.
"""

from myad.ops import methods  # noqa: F401 (installs the operators of Tensor)
from myad.ops.arithmetic import add, divide, multiply, power, subtract
from myad.ops.compare import astype as cast
from myad.ops.compare import chosen as where
from myad.ops.compare import (
    clip,
    equal,
    floor,
    less,
    less_equal,
    not_equal,
    sign,
    stop_gradient,
)
from myad.ops.compare import encoded as one_hot
from myad.ops.conv import conv2d
from myad.ops.extremes import max, maximum, min, minimum
from myad.ops.functions import (
    absolute,
    cos,
    elu,
    exp,
    leaky_relu,
    log,
    log_softmax,
    logsumexp,
    negative,
    relu,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    tanh,
)
from myad.ops.functions import softmax_along as softmax
from myad.ops.linalg import einsum
from myad.ops.linalg import product as matmul
from myad.ops.loss import sparse_softmax_cross_entropy
from myad.ops.pool import average_pooling2d, max_pooling2d
from myad.ops.random import random_key, random_uniform
from myad.ops.reduce import mean, sum, var
from myad.ops.reduce import stretched as broadcast_to
from myad.ops.shaping import joined as concatenate
from myad.ops.shaping import padded as pad
from myad.ops.shaping import permute as transpose
from myad.ops.shaping import reshaped as reshape
from myad.ops.shaping import stack, take

__all__ = [
    "absolute",
    "add",
    "average_pooling2d",
    "broadcast_to",
    "cast",
    "clip",
    "concatenate",
    "conv2d",
    "cos",
    "divide",
    "einsum",
    "elu",
    "equal",
    "exp",
    "floor",
    "leaky_relu",
    "less",
    "less_equal",
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
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "pad",
    "power",
    "random_key",
    "random_uniform",
    "relu",
    "reshape",
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
    "subtract",
    "sum",
    "take",
    "tanh",
    "transpose",
    "var",
    "where",
]
