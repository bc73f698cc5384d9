"""Cross-entropy from logits, fused: as one operation it is stable and has a short gradient."""

from __future__ import annotations

import numpy as np

from myad.core import Spec, composed, describe, primitive
from myad.errors import DataError, DTypeError, ShapeError
from myad.ops.activations import softmax
from myad.ops.compare import one_hot, stop_gradient, where
from myad.ops.extremes import max
from myad.ops.functions import exp, log
from myad.ops.reduce import reduce_sum
from myad.ops.shaping import reshape
from myad.ops.specs import check_float


@primitive
def sparse_softmax_cross_entropy(logits, labels):
    """−ln softmax(logits)[n, labels[n]] for each row: z_n = ln Σ_k e^(x_nk) − x_n,label.

    One primitive: composed, it takes three times as many NumPy calls, half of a step at batch 1.

    Args: logits: (N, K); labels: (N,) integers in [0, K).
    Returns: (N,) losses. Raises: DataError for a label out of range.
    """
    if labels.dtype.kind not in "iu" or labels.shape != logits.shape[:1]:
        sparse_softmax_cross_entropy.shape_rule(logits, labels)  # NumPy would mask, or stretch them
    top = np.maximum.reduce(logits, axis=1, keepdims=True)  # exp overflows float32 above 88.7
    shifted = logits - top
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise _out_of_range(logits, labels)
    try:
        chosen = shifted[np.arange(len(labels)), labels]
    except IndexError:
        sparse_softmax_cross_entropy.shape_rule(logits, labels)
        raise _out_of_range(logits, labels) from None
    return np.log(np.add.reduce(np.exp(shifted), axis=1)) - chosen


@sparse_softmax_cross_entropy.shape
def _(logits, labels):
    name = "cross-entropy"
    check_float(name, logits)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels must be integers.{describe(logits, labels)}")
    if len(logits.shape) != 2 or tuple(labels.shape) != (logits.shape[0],):
        raise ShapeError(f"{name}: needs logits (N, K), labels (N,).{describe(logits, labels)}")
    return Spec((logits.shape[0],), logits.dtype)


@sparse_softmax_cross_entropy.gradient
def _(dz, z, logits, labels):
    return sparse_softmax_cross_entropy_gradient(dz, logits, labels), None


@sparse_softmax_cross_entropy.kernel
@composed
def _(logits, labels):
    shifted = logits - stop_gradient(max(logits, (1,), keepdims=True))
    total = reduce_sum(exp(shifted), axis=(1,), keepdims=True)
    expected = one_hot(labels, classes=logits.shape[1], dtype=np.dtype(bool))
    # not a product: −∞ masks a class, and 0 · −∞ would be NaN
    chosen = where(expected, shifted, np.zeros((), logits.dtype))
    chosen = reduce_sum(chosen, axis=(1,), keepdims=False)
    return reshape(log(total), shape=labels.shape) - chosen


@primitive
def sparse_softmax_cross_entropy_gradient(dz, logits, labels):
    """∂z_n/∂x_nk = softmax(x_n)_k − [k = label_n], times dz_n: (N, K).

    One primitive, as its composition takes twice as many NumPy calls.
    """
    e = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    e /= np.add.reduce(e, axis=1, keepdims=True)
    e -= labels[:, None] == np.arange(e.shape[1])
    e *= dz[:, None]
    return e


@sparse_softmax_cross_entropy_gradient.shape
def _(dz, logits, labels):
    return Spec(tuple(logits.shape), logits.dtype)


@sparse_softmax_cross_entropy_gradient.gradient
def _(d, z, dz, logits, labels):
    n, classes = logits.shape
    p = softmax(logits, axis=(1,))
    t = d * reshape(dz, shape=(n, 1))
    expected = one_hot(labels, classes=classes, dtype=logits.dtype)
    return (
        lambda: reduce_sum(d * (p - expected), axis=(1,), keepdims=False),
        lambda: p * (t - reduce_sum(t * p, axis=(1,), keepdims=True)),
        None,
    )


@sparse_softmax_cross_entropy_gradient.kernel
@composed
def _(dz, logits, labels):
    n, classes = logits.shape
    expected = one_hot(labels, classes=classes, dtype=logits.dtype)
    return reshape(dz, shape=(n, 1)) * (softmax(logits, axis=(1,)) - expected)


def _out_of_range(logits, labels):
    return DataError(
        f"cross-entropy: labels must lie in [0, {logits.shape[1]}), one per logit;"
        f" got {labels.min()} to {labels.max()}."
    )
