"""The memory that compiled code works in: one arena per run at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from myad.compile.dtypes import DTYPES
from myad.compile.places import ALIGN, Place, Places
from myad.errors import BoundsError


class Arena:
    """Places of all buffers of a program, in which one run at a time may work.

    Args:
        given: values of the first inputs, which stay.
        poison: a byte with which everything is filled that the program must write before it reads
            it, when the arena is made and by `spoil`; for tests. By default memory is zero.
        room: makes the memory, size in bytes -> array of bytes, whatever they hold; for tests, too.
    """

    def __init__(
        self, places: Places, given: Sequence[np.ndarray] = (), poison: int | None = None,
        room: Callable[[int], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.places, self.poison = places, poison
        self._room = room or _zeros
        self.bytes = self._room(places.size)
        if poison is not None:
            self.bytes[...] = poison
        self.address = self.bytes.ctypes.data
        self._arrays: dict[Place, np.ndarray] = {}
        places.reset(self.memory)
        for place, value in zip(places.inputs, given, strict=False):
            self.write(place, value)

    def memory(self, place: Place) -> np.ndarray:
        """The flat memory of one buffer, as elements; of the caller's arrays, a stand-in."""
        dtype = DTYPES[place.dtype]
        if place.offset is not None:
            return self.bytes[place.offset : place.offset + place.bytes].view(dtype)
        if place not in self._arrays:
            self._arrays[place] = self._room(place.bytes).view(dtype)
        return self._arrays[place]

    def write(self, place: Place, array: np.ndarray) -> None:
        """Set the value of an input."""
        place.view(self.memory(place))[...] = array.reshape(place.shape)

    def read(self, place: Place) -> np.ndarray:
        """A copy of the value of an output or state."""
        return place.view(self.memory(place)).reshape(place.given).copy()

    @cached_property
    def addresses(self) -> list[int]:
        """Where the stand-ins for the caller's arrays lie."""
        return [self.memory(place).ctypes.data for place in self.places.arrays]

    @cached_property
    def faults(self) -> np.ndarray | None:
        """Where an index out of bounds is noted: 1 if there is one, the index, axis, its length."""
        return None if self.places.faults is None else self.memory(self.places.faults)

    def forget_fault(self) -> None:
        """Begin a run: what an interrupted one has left is of no account."""
        if self.faults is not None:
            self.faults[0] = 0

    def raise_fault(self) -> None:
        """Raise BoundsError if an index was out of bounds in this run."""
        if self.faults is not None and self.faults[0]:
            index, axis, size = self.faults[1:4].tolist()
            raise BoundsError(f"index {index} is out of bounds for axis {axis} with size {size}")

    def spoil(self) -> None:
        """Fill with `poison` what no run may rely on: all but inputs, state, constants, borders."""
        if self.poison is None:
            return
        kept = [self.memory(place) for place, _ in self.places.lasting]
        before = [memory.copy() for memory in kept]
        self.bytes[...] = self.poison
        for memory, value in zip(kept, before, strict=True):
            memory[...] = value


def _zeros(size: int) -> np.ndarray:
    """`size` bytes of zeros that begin at a multiple of `ALIGN`."""
    raw = np.zeros(size + ALIGN, np.uint8)
    skip = -raw.ctypes.data % ALIGN
    return raw[skip : skip + size]
