"""Activation functions, and the logarithm of a sum of exponentials."""

from __future__ import annotations

import numpy as np

from myad.core import composed, primitive
from myad.ops.compare import equal, stop_gradient, where
from myad.ops.extremes import max as reduced_max
from myad.ops.functions import absolute, exp, log
from myad.ops.reduce import reduce_sum
from myad.ops.reduce import sum as reduced_sum
from myad.ops.specs import (
    as_operand,
    broadcast_spec,
    check_float,
    float_spec,
    normalize_axis,
    same_spec,
)

_BITS = {"f": np.dtype(np.int32), "d": np.dtype(np.int64)}  # integers as long as the floats


@primitive
def sigmoid(x):
    """1 / (1 + e⁻ˣ), computed from e^(−|x|), which cannot overflow."""
    if x.dtype.kind != "f":  # of unsigned integers, −|x| would wrap around
        sigmoid.shape_rule(x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, np.ones((), e.dtype)) / (1 + e)


sigmoid.shape(float_spec("sigmoid"))


@sigmoid.gradient
def _(dz, z, x):
    return (dz * (z - z * z),)


@sigmoid.kernel
def _(k, x):
    def stable(a):
        e = k.apply("exp", -k.apply("abs", a))
        return k.apply("select", k.apply("lt", a, 0), e, k.const(1)) / (1 + e)

    return k.map(stable, x)


@primitive
def softplus(x):
    """ln(1 + eˣ) = max(x, 0) + ln(1 + e^(−|x|)), which cannot overflow."""
    return np.logaddexp(x, np.zeros((), x.dtype))


softplus.shape(float_spec("softplus"))


@softplus.gradient
def _(dz, z, x):
    return (dz * sigmoid(x),)


@softplus.kernel
def _(k, x):
    # ln(1 + u) = 2·artanh s = 2s·(1 + s²/3 + s⁴/5 + …) with s = u/(2 + u) ≤ 1/3, as 0 < u ≤ 1:
    # no logarithm, and nothing is lost where 1 + u rounds to 1. The rest left out is below eps/10.
    terms = {"f32": 8, "f64": 17}[k.dtype]

    def stable(a):
        u = k.apply("exp", -k.apply("abs", a))
        s = u / (2 + u)
        square, series = s * s, k.const(1 / (2 * terms + 1))
        for n in reversed(range(terms)):
            series = series * square + 1 / (2 * n + 1)
        return k.apply("max", 0, a) + 2 * s * series

    return k.map(stable, x)


@primitive
def relu(x):
    """max(x, 0); the derivative at 0 is taken as 0, as in Keras. NaN stays NaN."""
    return np.maximum(x, np.zeros((), x.dtype))


relu.shape(same_spec)


@relu.gradient
def _(dz, z, x):
    return (relu_gradient(dz, z),)


@relu.kernel
def _(k, x):
    return k.map(lambda a: k.apply("max", 0, a), x)


@primitive
def relu_gradient(dz, z):
    """dz where z > 0, else 0, whatever dz is: an infinite one would make NaN of a product with 0.

    One primitive, as multiplying the bits with the comparison takes a fifth of the time of `where`.
    """
    if dz.dtype.char not in _BITS or dz.ndim == 0:
        return np.where(z > 0, dz, np.zeros((), dz.dtype))
    return np.multiply(dz.view(_BITS[dz.dtype.char]), z > 0).view(dz.dtype)


@relu_gradient.shape
def _(dz, z):
    return broadcast_spec("relu", dz, z)


@relu_gradient.gradient
def _(d, dx, dz, z):
    return relu_gradient(d, z), None


@relu_gradient.kernel
@composed
def _(dz, z):
    zero = np.zeros((), dz.dtype)
    return where(zero < z, dz, zero)


@primitive
def softmax(x, *, axis):
    """eˣ / Σeˣ along the one axis in the tuple `axis`.

    One primitive, as its gradient needs three passes over z where the composition needs nine.
    """
    if not x.size:
        return x.copy()
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))  # exp overflows above 88.7
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


softmax.shape(float_spec("softmax"))


@softmax.gradient
def _(dz, z, x, *, axis):
    # ∂z_i/∂x_j = z_i·(δ_ij − z_j)
    return (z * (dz - reduce_sum(dz * z, axis=axis, keepdims=True)),)


@softmax.kernel
@composed
def _(x, *, axis):
    e = exp(x - stop_gradient(reduced_max(x, axis, keepdims=True)))
    return e / reduce_sum(e, axis=axis, keepdims=True)


def logsumexp(x, axis=None, keepdims=False):
    """ln Σeˣ over `axis`, with the maximum taken out, so that nothing overflows.

    Infinite x give what the limit is: −∞ counts for nothing, nothing but −∞ gives −∞, +∞ gives +∞.
    """
    x = as_operand(x)
    check_float("logsumexp", x)
    top = stop_gradient(reduced_max(x, axis, keepdims=True))
    one, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
    shift = where(absolute(top) < np.asarray(np.inf, x.dtype), top, zero)  # ∞ − ∞ would be NaN
    total = reduced_sum(exp(x - shift), axis, keepdims=True)
    nothing = equal(total, zero)
    shifted = log(where(nothing, one, total)) + where(nothing, top, shift)
    return shifted if keepdims else reduced_sum(shifted, axis)


def log_softmax(x, axis=-1):
    """ln softmax(x) along `axis`: x − logsumexp(x)."""
    x = as_operand(x)
    return x - logsumexp(x, axis, keepdims=True)


def softmax_along(x, axis=-1):
    """eˣ / Σeˣ along `axis`; subtracts the maximum first, so that nothing overflows."""
    x = as_operand(x)
    check_float("softmax", x)
    return softmax(x, axis=normalize_axis("softmax", axis, len(x.shape)))


def silu(x):
    """x · sigmoid(x), also called swish."""
    x = as_operand(x)
    return x * sigmoid(x)


def leaky_relu(x, negative_slope=0.2):
    """x where x > 0, else negative_slope · x (default slope, and derivative at 0, as Keras)."""
    x = as_operand(x)
    check_float("leaky_relu", x)
    slope = np.asarray(negative_slope, x.dtype)
    return where(x > np.zeros((), x.dtype), x, x * slope)


def elu(x, alpha=1.0):
    """x where x > 0, else alpha · (eˣ − 1); the derivative at 0 is alpha."""
    x = as_operand(x)
    check_float("elu", x)
    zero, one, scale = np.zeros((), x.dtype), np.ones((), x.dtype), np.asarray(alpha, x.dtype)
    above = x > zero
    low = where(above, zero, x)  # eˣ overflows in the branch that is not taken
    return where(above, x, scale * (exp(low) - one))
