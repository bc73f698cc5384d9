"""The operations, one file per family; importing this installs the operators of Tensor.

The imports below are the one list of public names: `__all__`, the names of `myad` itself, the
methods of Tensor and what NumPy's functions are mapped to are made of it. These functions take
numbers and lists too, negative axes, -1 in a shape; the primitives beneath them want their static
parameters complete.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from myad.ops import joins, methods, protocols
from myad.ops.accumulate import cumsum as cumsum
from myad.ops.accumulate import diff as diff
from myad.ops.accumulate import prod as prod
from myad.ops.accumulate import std as std
from myad.ops.activations import elu as elu
from myad.ops.activations import leaky_relu as leaky_relu
from myad.ops.activations import log_softmax as log_softmax
from myad.ops.activations import logsumexp as logsumexp
from myad.ops.activations import relu as relu
from myad.ops.activations import sigmoid as sigmoid
from myad.ops.activations import silu as silu
from myad.ops.activations import softmax_along as softmax
from myad.ops.activations import softplus as softplus
from myad.ops.angles import arccos as arccos
from myad.ops.angles import arcsin as arcsin
from myad.ops.angles import arctan as arctan
from myad.ops.angles import arctan2 as arctan2
from myad.ops.angles import hypot as hypot
from myad.ops.angles import tan as tan
from myad.ops.arithmetic import add as add
from myad.ops.arithmetic import divide as divide
from myad.ops.arithmetic import multiply as multiply
from myad.ops.arithmetic import power as power
from myad.ops.arithmetic import reciprocal as reciprocal
from myad.ops.arithmetic import remainder as mod
from myad.ops.arithmetic import square as square
from myad.ops.arithmetic import subtract as subtract
from myad.ops.at import at as at
from myad.ops.at import dynamic_slice as dynamic_slice
from myad.ops.at import dynamic_update_slice as dynamic_update_slice
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
from myad.ops.diagonals import diag as diag
from myad.ops.diagonals import diagonal as diagonal
from myad.ops.diagonals import trace as trace
from myad.ops.diagonals import tril as tril
from myad.ops.diagonals import triu as triu
from myad.ops.einsum import einsum as einsum
from myad.ops.exponentials import exp2 as exp2
from myad.ops.exponentials import expm1 as expm1
from myad.ops.exponentials import log1p as log1p
from myad.ops.exponentials import log2 as log2
from myad.ops.exponentials import log10 as log10
from myad.ops.exponentials import logaddexp as logaddexp
from myad.ops.extremes import fmax as fmax
from myad.ops.extremes import fmin as fmin
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
from myad.ops.hyperbolic import arccosh as arccosh
from myad.ops.hyperbolic import arcsinh as arcsinh
from myad.ops.hyperbolic import arctanh as arctanh
from myad.ops.hyperbolic import cosh as cosh
from myad.ops.hyperbolic import sinh as sinh
from myad.ops.linalg import product as matmul
from myad.ops.logic import logical_and as logical_and
from myad.ops.logic import logical_not as logical_not
from myad.ops.logic import logical_or as logical_or
from myad.ops.logic import logical_xor as logical_xor
from myad.ops.loss import sparse_softmax_cross_entropy as sparse_softmax_cross_entropy
from myad.ops.order import argmax as argmax
from myad.ops.order import argmin as argmin
from myad.ops.order import argsort as argsort
from myad.ops.order import sort as sort
from myad.ops.pool import average_pooling2d as average_pooling2d
from myad.ops.pool import max_pooling2d as max_pooling2d
from myad.ops.products import cross as cross
from myad.ops.products import dot as dot
from myad.ops.products import kron as kron
from myad.ops.products import outer as outer
from myad.ops.products import tensordot as tensordot
from myad.ops.random import random_key as random_key
from myad.ops.random import random_normal as random_normal
from myad.ops.random import random_split as random_split
from myad.ops.random import random_uniform as random_uniform
from myad.ops.rearrange import append as append
from myad.ops.rearrange import expand_dims as expand_dims
from myad.ops.rearrange import flip as flip
from myad.ops.rearrange import moveaxis as moveaxis
from myad.ops.rearrange import repeat as repeat
from myad.ops.rearrange import roll as roll
from myad.ops.rearrange import split as split
from myad.ops.rearrange import squeeze as squeeze
from myad.ops.rearrange import take_along_axis as take_along_axis
from myad.ops.rearrange import tile as tile
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
from myad.ops.special import erf as erf
from myad.ops.special import gelu as gelu

__all__ = sorted(
    name for name, thing in list(globals().items()) if callable(thing) and name[0] != "_"
)
PUBLIC = {name: globals()[name] for name in __all__}

methods.install(PUBLIC)
protocols.install(PUBLIC)
