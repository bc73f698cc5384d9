"""Where the arrays of a compiled program lie: all that running it has to know, and that is kept
with its machine code on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES

ALIGN = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True, eq=False)
class Place:
    """One array in memory.

    Fields: `dtype` a name of `dtypes.TABLE`; `given` its shape; `shape` that after dimensions were
    split; `strides` elements per step along it; `size` elements with padding; `offset` bytes from
    the start of the arena, None for an array of the caller's; `is_argument` whether the caller's
    array is read.
    """

    dtype: str
    given: tuple[int, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    size: int
    offset: int | None
    is_argument: bool = False

    @property
    def bytes(self) -> int:
        """Bytes in memory, padding included."""
        return self.size * BYTES[self.dtype]

    def view(self, memory: np.ndarray) -> np.ndarray:
        """A writable window on the elements, of `shape`, in the array's flat memory."""
        strides = tuple([step * BYTES[self.dtype] for step in self.strides])
        return np.ndarray(self.shape, DTYPES[self.dtype], memory, strides=strides)


@dataclass(frozen=True)
class Places:
    """All places of a program.

    Fields: `size` bytes of the arena; `inputs`, `outputs` by position; `arrays` those of the
    caller's, arguments then results, in the order of the native table; `lasting` what keeps its
    value from run to run, and the value that is written once: an array, a number everywhere, or
    None for zeros; `streams` how many inputs are the caller's rows; `collect` the number of the
    output that is kept of every step, if one is; `parts` how many threads could have work at
    a time; `faults` where an index out of bounds is noted, None if none can be.
    """

    size: int
    inputs: Sequence[Place]
    outputs: Sequence[Place]
    arrays: Sequence[Place]
    lasting: Sequence[tuple[Place, np.ndarray | float | None]]
    streams: int = 0
    collect: int | None = None
    parts: int = 1
    faults: Place | None = None

    def reset(self, memory: Callable[[Place], np.ndarray]) -> None:
        """Set padding to zero, and write the constants and the borders that no kernel writes."""
        for place, value in self.lasting:
            memory(place)[...] = 0
            if value is not None:
                view = place.view(memory(place))
                view[...] = value.reshape(place.shape) if isinstance(value, np.ndarray) else value


def packed(places: Places) -> tuple[dict[str, Any], bytes]:
    """`places` as what JSON can hold, and the bytes of the constants."""
    table: dict[Place, int] = {}
    blob = bytearray()
    lasting: list[Any] = []
    for place, value in places.lasting:
        number = table.setdefault(place, len(table))
        if isinstance(value, np.ndarray):
            lasting.append([number, "array", len(blob)])
            blob += value.astype(DTYPES[place.dtype], copy=False).tobytes()
        else:
            lasting.append([number, "number", value])
    lists = {
        name: [table.setdefault(place, len(table)) for place in getattr(places, name)]
        for name in ("inputs", "outputs", "arrays")
    }
    facts: dict[str, Any] = {**lists, "lasting": lasting}
    facts["faults"] = None if places.faults is None else table.setdefault(places.faults, len(table))
    facts |= {name: getattr(places, name) for name in ("size", "streams", "collect", "parts")}
    facts["places"] = [
        [p.dtype, p.given, p.shape, p.strides, p.size, p.offset, p.is_argument] for p in table
    ]
    return facts, bytes(blob)


def unpacked(facts: dict[str, Any], blob: bytes) -> Places:
    """What `packed` was given. Raises: LookupError, TypeError, ValueError for anything else."""
    table = [
        Place(str(dtype), tuple(given), tuple(shape), tuple(strides), size, offset, argument)
        for dtype, given, shape, strides, size, offset, argument in facts["places"]
    ]
    lists = {name: [table[n] for n in facts[name]] for name in ("inputs", "outputs", "arrays")}
    lasting: list[tuple[Place, np.ndarray | float | None]] = []
    for number, kind, value in facts["lasting"]:
        place = table[number]
        if kind == "array":
            count = int(np.prod(place.shape))
            value = np.frombuffer(blob, DTYPES[place.dtype], count, value)
        lasting.append((place, value))
    for place in table:
        if place.offset is not None and not 0 <= place.offset <= facts["size"] - place.bytes:
            raise ValueError(f"{place} is not in the arena of {facts['size']} bytes")
    return Places(
        facts["size"], lists["inputs"], lists["outputs"], lists["arrays"], lasting,
        facts["streams"], facts["collect"], int(facts["parts"]),
        None if facts["faults"] is None else table[facts["faults"]],
    )  # fmt: skip
