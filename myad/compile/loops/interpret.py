"""Runs loop code in Python, one statement at a time: slow, and without a compiler.

It is the reference that the native code is tested against.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from myad.compile.dtypes import DTYPES
from myad.compile.kernels.index import Affine, Axis
from myad.compile.loops.loops import Loop, LoopCode, Statement, Storage, Store, Value, Zero


def _power(x: Any, y: Any) -> Any:
    """x to the power of y; integers by squaring, as NumPy refuses negative exponents."""
    if y.dtype.kind == "f":
        return np.power(x, y)
    dtype, one = y.dtype, y.dtype.type(1)
    z, bits = np.full_like(y, 1), np.asarray(y).view(f"u{dtype.itemsize}")
    for bit in range(8 * dtype.itemsize):
        z = z * np.where((bits >> bits.dtype.type(bit)) & bits.dtype.type(1), x, one)
        x = x * x
    return z.astype(dtype)[()]


_OPS: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": _power,
    "rem": np.fmod,
    "max": np.maximum, "min": np.minimum, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "shr": np.right_shift, "shl": np.left_shift,
    "neg": np.negative, "abs": np.abs, "floor": np.floor, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "not": np.logical_not, "select": np.where,
}  # fmt: skip
_ACROSS: dict[str, Any] = {"add": np.add, "max": np.maximum, "min": np.minimum}


def interpret(
    code: LoopCode, memory: Mapping[Storage, np.ndarray], units: range | None = None,
    place: int = 0,
) -> None:  # fmt: skip
    """Run `code` on `memory`: a flat array for each storage, (rows, row) for a stream.

    `units`: one thread's share of the kernel's units; all of them by default. `place`: the number
    of the slice of the batch.
    Raises: IndexError if an access leaves its array.
    """
    formal = code.storages if code.model is None else code.model.storages
    places = {name: memory[storage] for name, storage in zip(formal, code.storages, strict=True)}
    with np.errstate(all="ignore"):
        run = _Run(places, range(code.units) if units is None else units)
        counter = code.slice if code.model is None else code.model.slice
        if counter is not None:
            run.counters[counter] = place
        run.block(code.body)


class _Run:
    def __init__(self, memory: Mapping[Storage, np.ndarray], units: range) -> None:
        self.memory, self.units = memory, units
        self.counters: dict[Axis, int] = {}
        self.values: dict[Value, Any] = {}

    def block(self, body: list[Statement]) -> None:
        for statement in body:
            if isinstance(statement, Value):
                self.values[statement] = self.evaluate(statement)
            elif isinstance(statement, Store):
                where = self.places(statement.address, statement.stride, statement.valid)
                value = np.atleast_1d(self.values[statement.value])[: statement.valid]
                self.memory[statement.storage][where] = value
            elif isinstance(statement, Zero):
                self.memory[statement.storage][:] = 0
            else:
                self.loop(statement)

    def loop(self, loop: Loop) -> None:
        current = [self.values[start] for start in loop.starts]
        for count in range(loop.var.size):
            if loop.unit is not None and count + loop.unit not in self.units:
                continue
            self.counters[loop.var] = count
            self.values.update(zip(loop.carried, current, strict=True))
            self.block(loop.body)
            current = [self.values[value] for value in loop.yields]
        self.counters.pop(loop.var, None)

    def at(self, address: Affine) -> int:
        return address.const + sum(c * self.counters[axis] for axis, c in address.terms.items())

    def places(self, address: Affine, stride: int, count: int) -> np.ndarray:
        where = self.at(address) + stride * np.arange(count)
        if where.min() < 0:
            raise IndexError(f"address {where.min()}")
        return where

    def evaluate(self, value: Value) -> Any:
        attrs, dtype = value.attrs, DTYPES[value.dtype]
        args = [self.values[arg] for arg in value.args]
        if value.op == "const":
            return dtype(attrs["value"])
        if value.op == "load":
            return self.load(value, args)
        if value.op == "index":
            place = self.at(attrs["address"]) + attrs["step"] * np.arange(value.lanes)
            return place.astype(dtype) if value.lanes > 1 else dtype(place[0])
        if value.op == "spread":
            return np.full(value.lanes, args[0], dtype)
        if value.op == "keep":
            kept = args[0].copy()
            kept[attrs["valid"] :] = attrs["other"]
            return kept
        if value.op == "across":
            return _ACROSS[attrs["combine"]].reduce(args[0], dtype=dtype)
        if value.op == "interleave":
            return np.stack(args, axis=1).reshape(-1)
        if value.op == "pack":
            packed: np.ndarray = np.zeros(value.lanes, dtype)
            packed[: len(args)] = args
            return packed
        if value.op == "fma":
            return args[0] * args[1] + args[2]
        if value.op == "cast":
            return np.asarray(args[0]).astype(dtype)[()]
        return _OPS[value.op](*args)

    def load(self, value: Value, args: list[Any]) -> Any:
        attrs = value.attrs
        memory = self.memory[attrs["storage"]]
        if args:
            memory = memory[args[0]]
        read = memory[self.places(attrs["address"], attrs["stride"], attrs["valid"])]
        if value.lanes == 1:
            return read[0]
        return np.concatenate([read, np.zeros(value.lanes - attrs["valid"], read.dtype)])
