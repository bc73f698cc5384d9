"""Random numbers as a pure function of a key: no state anywhere, the same bits in every engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, primitive
from myad.errors import ShapeError
from myad.ops.functions import cos, log, sqrt
from myad.ops.shaping import getitem
from myad.ops.specs import as_operand

# Finalizer of MurmurHash3 for 32 bits (Austin Appleby, public domain): each input bit flips each
# output bit with probability near 1/2. The weights that tell index and key apart are the 32-bit
# golden ratio of Knuth, TAOCP vol. 3, section 6.4, and the first two primes of xxHash32.
FINALIZER = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
INDEX_WEIGHT, SEED_WEIGHT, COUNTER_WEIGHT = 0x9E3779B9, 0x9E3779B1, 0x85EBCA77


@primitive
def random_uniform(key, *, shape, dtype):
    """Numbers in [0, 1), multiples of 2⁻²⁴, by hashing the element's index with the key.

    With all arithmetic modulo 2³², `seed, counter = key` and i the row-major index of an element:
        h = mix(mix(seed·SEED_WEIGHT + 1) + counter·COUNTER_WEIGHT) + i·INDEX_WEIGHT,
        z = (mix(h) >> 8) · 2⁻²⁴,   mix(h) = h xor h>>16, ·85EBCA6B, xor >>13, ·C2B2AE35, xor >>16.

    Args: key: uint32 (2,), (seed, counter). Use another counter for every draw.
    """
    if key.dtype != np.uint32 or key.shape != (2,):
        random_uniform.shape_rule(key, shape=shape, dtype=dtype)
    seed, counter = key[0:1], key[1:2]  # arrays: NumPy warns when a scalar product wraps around
    one = np.ones(1, np.uint32)
    start = mix(mix(seed * np.uint32(SEED_WEIGHT) + one) + counter * np.uint32(COUNTER_WEIGHT))
    index = np.arange(math.prod(shape), dtype=np.uint32)
    bits = mix(start + index * np.uint32(INDEX_WEIGHT))
    return ((bits >> np.uint32(8)).astype(dtype) * dtype.type(2**-24)).reshape(shape)


@random_uniform.shape
def _(key, *, shape, dtype):
    if tuple(key.shape) != (2,) or key.dtype != np.uint32:
        raise ShapeError(
            f"random_uniform: the key must be uint32 (2,), not {key.dtype} {tuple(key.shape)};"
            " make it with random_key(seed, counter)."
        )
    return Spec(tuple(shape), np.dtype(dtype))


@random_uniform.gradient
def _(dz, z, key, *, shape, dtype):
    return (None,)


@random_uniform.kernel
def _(k, key, *, shape, dtype):
    axes = k.axes(*shape)
    seed, counter = key[0], key[1]
    start = _mixed(k, seed * SEED_WEIGHT + 1) + counter * COUNTER_WEIGHT
    steps = [math.prod(shape[n + 1 :]) for n in range(len(shape))]
    flat = sum(a * step for a, step in zip(axes, steps, strict=True))
    bits = _mixed(k, _mixed(k, start) + k.index_value(flat, "u32") * INDEX_WEIGHT)
    return k.define(axes, k.cast(k.apply("shr", bits, 8), k.dtype) * 2.0**-24)


def _mixed(k, h):
    """`mix` as an expression."""
    for shift, factor in FINALIZER:
        h = k.apply("xor", h, k.apply("shr", h, shift)) * factor
    return k.apply("xor", h, k.apply("shr", h, 16))


def mix(h: np.ndarray) -> np.ndarray:
    """Hash of 32-bit words: the finalizer of MurmurHash3."""
    for shift, factor in FINALIZER:
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    return h ^ (h >> np.uint32(16))


def random_key(seed: int, counter: int = 0) -> np.ndarray:
    """The key of one stream of `random_uniform`: uint32 (2,)."""
    return np.array([seed % 2**32, counter % 2**32], np.uint32)


@primitive
def split_key(key, *, count):
    """`count` keys, uint32 (count, 2), that have nothing in common with `key` or each other.

    As `random_uniform`, with 2 in the place of 1: row-major words of bits, not shifted.
    """
    if key.dtype != np.uint32 or key.shape != (2,):
        split_key.shape_rule(key, count=count)
    seed, counter = key[0:1], key[1:2]
    two = np.full(1, 2, np.uint32)
    start = mix(mix(seed * np.uint32(SEED_WEIGHT) + two) + counter * np.uint32(COUNTER_WEIGHT))
    index = np.arange(2 * count, dtype=np.uint32)
    return mix(start + index * np.uint32(INDEX_WEIGHT)).reshape(count, 2)


@split_key.shape
def _(key, *, count):
    if tuple(key.shape) != (2,) or key.dtype != np.uint32:
        raise ShapeError(
            f"random_split: the key must be uint32 (2,), not {key.dtype} {tuple(key.shape)};"
            " make it with random_key(seed, counter)."
        )
    return Spec((count, 2), np.dtype(np.uint32))


@split_key.gradient
def _(dz, z, key, *, count):
    return (None,)


@split_key.kernel
def _(k, key, *, count):
    i, j = k.axes(count, 2)
    start = _mixed(k, _mixed(k, key[0] * SEED_WEIGHT + 2) + key[1] * COUNTER_WEIGHT)
    bits = _mixed(k, start + k.index_value(i * 2 + j, "u32") * INDEX_WEIGHT)
    return k.define((i, j), bits)


def random_split(key: Any, num: int = 2) -> Any:
    """`num` new keys, uint32 (num, 2), as functions of `key`, which is not to be used again."""
    return split_key(as_operand(key), count=int(num))


def random_normal(key: Any, *, shape: Any, dtype: Any = np.float32) -> Any:
    """Draws from the normal distribution of mean 0 and variance 1, at most 5.8 from 0.

    Two uniform numbers make one: √(−2·ln(1 − u))·cos(2πv) (Box & Muller 1958).
    """
    dtype = np.dtype(dtype)
    shape = tuple(int(n) for n in shape)
    u = random_uniform(as_operand(key), shape=(2, *shape), dtype=dtype)
    radius = sqrt(log(np.ones((), dtype) - getitem(u, 0)) * np.asarray(-2.0, dtype))
    return radius * cos(getitem(u, 1) * np.asarray(2.0 * math.pi, dtype))
