"""The operations, one file per family; importing this installs the operators of Tensor.

The imports below are the one list of public names: `__all__`, the names of `myad` itself, the
methods of Tensor and what NumPy's functions are mapped to are made of it. These functions take
numbers and lists too, negative axes, -1 in a shape; the primitives beneath them want their static
parameters complete.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from myad.ops import methods, protocols
from myad.ops.activations import elu as elu
from myad.ops.activations import leaky_relu as leaky_relu
from myad.ops.activations import log_softmax as log_softmax
from myad.ops.activations import logsumexp as logsumexp
from myad.ops.activations import relu as relu
from myad.ops.activations import sigmoid as sigmoid
from myad.ops.activations import silu as silu
from myad.ops.activations import softmax_along as softmax
from myad.ops.activations import softplus as softplus
from myad.ops.arithmetic import add as add
from myad.ops.arithmetic import divide as divide
from myad.ops.arithmetic import multiply as multiply
from myad.ops.arithmetic import power as power
from myad.ops.arithmetic import subtract as subtract
from myad.ops.compare import astype as cast
from myad.ops.compare import chosen as where
from myad.ops.compare import clip as clip
from myad.ops.compare import encoded as one_hot
from myad.ops.compare import equal as equal
from myad.ops.compare import floor as floor
from myad.ops.compare import greater as greater
from myad.ops.compare import greater_equal as greater_equal
from myad.ops.compare import less as less
from myad.ops.compare import less_equal as less_equal
from myad.ops.compare import not_equal as not_equal
from myad.ops.compare import sign as sign
from myad.ops.compare import stop_gradient as stop_gradient
from myad.ops.conv import conv2d as conv2d
from myad.ops.extremes import max as max
from myad.ops.extremes import maximum as maximum
from myad.ops.extremes import min as min
from myad.ops.extremes import minimum as minimum
from myad.ops.functions import absolute as absolute
from myad.ops.functions import cos as cos
from myad.ops.functions import exp as exp
from myad.ops.functions import log as log
from myad.ops.functions import negative as negative
from myad.ops.functions import sin as sin
from myad.ops.functions import sqrt as sqrt
from myad.ops.functions import tanh as tanh
from myad.ops.linalg import einsum as einsum
from myad.ops.linalg import product as matmul
from myad.ops.loss import sparse_softmax_cross_entropy as sparse_softmax_cross_entropy
from myad.ops.pool import average_pooling2d as average_pooling2d
from myad.ops.pool import max_pooling2d as max_pooling2d
from myad.ops.random import random_key as random_key
from myad.ops.random import random_uniform as random_uniform
from myad.ops.reduce import mean as mean
from myad.ops.reduce import stretched as broadcast_to
from myad.ops.reduce import sum as sum
from myad.ops.reduce import var as var
from myad.ops.shaping import joined as concatenate
from myad.ops.shaping import padded as pad
from myad.ops.shaping import permute as transpose
from myad.ops.shaping import reshaped as reshape
from myad.ops.shaping import stack as stack
from myad.ops.shaping import take as take

__all__ = sorted(
    name for name, thing in list(globals().items()) if callable(thing) and name[0] != "_"
)
PUBLIC = {name: globals()[name] for name in __all__}

methods.install(PUBLIC)
protocols.install(PUBLIC)
