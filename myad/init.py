"""Starting weights, each with its formula, drawn from a generator that the caller gives.

With fan_in = KH·KW·C inputs and fan_out = KH·KW·F outputs of one unit (for a dense kernel D and K),
every initializer is a distribution with variance scale/fan. "normal" means, as in Keras, a normal
distribution cut at two standard deviations and widened so that its variance is as stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from myad.errors import OptionError

# standard deviation of a standard normal distribution cut at ±2
CUT_DEVIATION = 0.87962566103423978

# a text, as reading np.random would import it, which costs a fifth of importing this package
Initializer = Callable[["np.random.Generator", tuple[int, ...]], np.ndarray]


def zeros(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All 0."""
    return np.zeros(shape)


def ones(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All 1."""
    return np.ones(shape)


def glorot_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±√(6/(fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    return _uniform(generator, shape, 2 / sum(fans(shape)))


def glorot_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal, variance 2/(fan_in + fan_out) (Glorot & Bengio 2010, equation 12)."""
    return _normal(generator, shape, 2 / sum(fans(shape)))


def he_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±√(6/fan_in) (He et al. 2015, arXiv:1502.01852)."""
    return _uniform(generator, shape, 2 / fans(shape)[0])


def he_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal, variance 2/fan_in (He et al. 2015, arXiv:1502.01852, equation 10)."""
    return _normal(generator, shape, 2 / fans(shape)[0])


def lecun_uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in ±√(3/fan_in) (LeCun et al. 1998, "Efficient BackProp", section 4.6)."""
    return _uniform(generator, shape, 1 / fans(shape)[0])


def lecun_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal, variance 1/fan_in (LeCun et al. 1998, "Efficient BackProp", section 4.6)."""
    return _normal(generator, shape, 1 / fans(shape)[0])


INITIALIZERS: dict[str, Initializer] = {
    rule.__name__: rule
    for rule in (
        zeros,
        ones,
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        lecun_uniform,
        lecun_normal,
    )
}


def initializer(name: str | Initializer) -> Initializer:
    """The initializer of that name; a function is returned as it is. Raises OptionError."""
    if callable(name):
        return name
    if name not in INITIALIZERS:
        raise OptionError(f"initializer: {name!r} is none of {', '.join(INITIALIZERS)}.")
    return INITIALIZERS[name]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a kernel (…, inputs, outputs); at least 1."""
    if len(shape) < 2:
        size = math.prod(shape)
        return max(size, 1), max(size, 1)
    window = math.prod(shape[:-2])
    return max(window * shape[-2], 1), max(window * shape[-1], 1)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...], variance: float) -> np.ndarray:
    limit = math.sqrt(3 * variance)  # a uniform distribution in ±a has variance a²/3
    return generator.uniform(-limit, limit, shape)


def _normal(generator: np.random.Generator, shape: tuple[int, ...], variance: float) -> np.ndarray:
    values = generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(values) > 2
    return values * (math.sqrt(variance) / CUT_DEVIATION)
