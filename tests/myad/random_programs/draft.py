"""A random program while it is written: what has been computed so far, and how more is added.

Every line is evaluated eagerly as it is added: its shape and dtype are known to those that follow,
what eager refuses is left out, and numbers stay where rounding does not decide everything.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import myad
from myad.errors import MyadError
from tests.myad.random_programs.program import Line

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
LARGEST = 200  # elements: the interpreter is slow
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 19, 33, 40)
SIZE_WEIGHTS = (2, 8, 16, 16, 12, 10, 6, 6, 5, 4, 4, 4, 2, 3, 1)
NDIM_WEIGHTS = (2, 6, 8, 5, 2)
TAME = 1e3  # values beyond are left out, unless the program is wild

Test = Callable[[np.ndarray], Any]


class Draft:
    """Fields: `values` every name's eager value; `wild` whether NaN, infinities and numbers of any
    size are welcome; `dtype`, `integer` the element types this program prefers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.dtype = self.rng.choices(FLOATS, (3, 2))[0]
        self.integer = self.rng.choices(INTEGERS, (1, 1, 4, 3, 3, 1, 2, 1))[0]
        self.wild = self.rng.random() < 0.08
        self.dyadic = self.rng.random() < 0.35  # short numbers: sums and products are exact
        self.base = self.fresh_shape()
        self.values: dict[str, np.ndarray] = {}
        self.inputs: dict[str, np.ndarray] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.lines: list[Line] = []
        self.broken = False  # eager raised what is no MyadError: the program ends here

    def fresh_shape(self, ndim: int | None = None) -> tuple[int, ...]:
        """Any shape of at most `LARGEST` elements."""
        if ndim is None:
            ndim = self.rng.choices(range(5), NDIM_WEIGHTS)[0]
        while True:
            shape = tuple(self.rng.choices(SIZES, SIZE_WEIGHTS, k=ndim))
            if math.prod(shape) <= LARGEST:
                return shape

    def shape(self) -> tuple[int, ...]:
        """A shape akin to the program's, so that values meet."""
        way = self.rng.random()
        if way < 0.5:
            return self.base
        if way < 0.65:
            return self.base[self.rng.randint(0, len(self.base)) :]
        if way < 0.85:
            return tuple(1 if self.rng.random() < 0.4 else n for n in self.base)
        return self.fresh_shape()

    def any_dtype(self) -> str:
        """Mostly the program's floating-point type."""
        return self.rng.choices(
            (self.dtype, self.integer, "bool", self.rng.choice(FLOATS), self.rng.choice(INTEGERS)),
            (60, 14, 5, 5, 3),
        )[0]

    def array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Numbers of a kind chosen at random."""
        dtype, rng = np.dtype(dtype), self.numbers
        if dtype.kind == "b":
            return np.asarray(rng.random(shape) < 0.5)
        if dtype.kind in "iu":
            return self._integers(shape, dtype)
        way = "eighths" if self.dyadic else self.rng.choice(("eighths", "normal", "positive"))
        if way == "eighths":  # with ties
            made = rng.integers(-16, 17, shape) / 8
        elif way == "normal":
            made = rng.standard_normal(shape)
        else:
            made = rng.uniform(0.25, 2.0, shape)
        made = np.asarray(made, dtype)
        if self.wild and self.rng.random() < 0.5:
            special = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e-30], shape)
            made = np.where(rng.random(shape) < 0.2, special, made).astype(dtype)
        return made

    def _integers(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        info = np.iinfo(dtype)
        low, high = (0 if dtype.kind == "u" else -4), 9
        if self.rng.random() < 0.25:  # the full range: nothing may be narrowed
            low, high = int(info.min), int(info.max)
        return np.asarray(self.numbers.integers(low, high, shape, dtype, endpoint=True))

    def give(self, array: np.ndarray, constant: bool = False) -> str:
        """The name of a new input, or constant, with this value."""
        group, letter = (self.constants, "c") if constant else (self.inputs, "x")
        name = f"{letter}{len(group)}"
        group[name] = self.values[name] = array
        return name

    def new(self, shape: tuple[int, ...], dtype: Any) -> str:
        """A new input, now and then a constant."""
        return self.give(self.array(shape, dtype), constant=self.rng.random() < 0.2)

    def find(self, test: Test) -> str | None:
        """A name whose value passes `test`, recent ones preferred."""
        names = [name for name, value in self.values.items() if test(value)]
        if not names:
            return None
        if self.rng.random() < 0.5:
            return names[-1 - int(len(names) * self.rng.random() ** 3)]
        return self.rng.choice(names)

    def pick(self, test: Test, shape: Callable[[], tuple[int, ...]], dtype: Any) -> str:
        """A name whose value passes `test`; if there is none, or now and then, a new input."""
        found = self.find(test) if self.rng.random() < 0.9 else None
        return found or self.new(shape(), dtype)

    def floating(self, ndim: int = 0) -> str:
        """A floating-point value of at least `ndim` axes."""
        return self.pick(
            lambda v: v.dtype.kind == "f" and v.ndim >= ndim,
            lambda: s if len(s := self.shape()) >= ndim else self.fresh_shape(max(ndim, 1)),
            self.dtype,
        )

    def anything(self, ndim: int = 0) -> str:
        """A value of any dtype with at least `ndim` axes."""
        dtype = self.any_dtype()
        return self.pick(
            lambda v: v.ndim >= ndim and (v.dtype == dtype or self.rng.random() < 0.3),
            lambda: s if len(s := self.shape()) >= ndim else self.fresh_shape(max(ndim, 1)),
            dtype,
        )

    def partner(self, name: str) -> str:
        """A value of the same dtype that `name` broadcasts with."""
        one = self.values[name]

        def fits(other: np.ndarray) -> bool:
            if other.dtype != one.dtype:
                return False
            try:
                return math.prod(np.broadcast_shapes(one.shape, other.shape)) <= LARGEST
            except ValueError:
                return False

        def near() -> tuple[int, ...]:
            shape = one.shape[self.rng.choice((0, 0, 0, 1)) :]
            return tuple(1 if self.rng.random() < 0.2 else n for n in shape)

        return self.pick(fits, near, one.dtype)

    def add(self, op: str, text: str, *reads: str) -> str | None:
        """Append the line `text`, in which {0}, {1}, … stand for `reads`; None if it is refused."""
        if all(name in self.constants for name in reads):
            return None  # NumPy's work, not ours
        written = text.format(*reads)
        scope: dict[str, Any] = {"myad": myad, "np": np}
        for name in reads:
            value = self.values[name]
            scope[name] = value if name in self.constants else myad.Tensor(value)
        name = f"v{len(self.lines)}"
        line = Line(name, written, reads, op)
        try:
            with np.errstate(all="ignore"):
                value = eval(written, scope)
        except MyadError:
            return None
        except Exception:  # the checker runs it again and says what it was
            self.lines.append(line)
            self.broken = True
            return None
        value = value.value if isinstance(value, myad.Tensor) else np.asarray(value)
        if not self._welcome(value):
            return None
        self.lines.append(line)
        self.values[name] = value
        return name

    def _welcome(self, value: np.ndarray) -> bool:
        if value.size > 4 * LARGEST or value.ndim > 5:
            return False
        if value.dtype.kind != "f" or self.wild:
            return True
        return bool(np.all(np.abs(value) < TAME))  # NaN fails, too
