"""Runs a plan in Python, kernel by kernel: what native code is tested against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from myad.compile.dtypes import DTYPES
from myad.compile.kernels.expr import Buffer
from myad.compile.loops.interpret import interpret
from myad.compile.loops.plan import Plan, groups, place_by_buffer
from myad.compile.loops.routine import RoutineCode
from myad.compile.schedule.layout import Storage


def run_interpreted(
    plan: Plan, values: Mapping[Buffer, np.ndarray], streams: Sequence[np.ndarray] = (),
    rows: np.ndarray | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """One step of a plan: the outputs."""
    places = place_by_buffer(plan)
    arrays: dict[Storage, np.ndarray] = {}
    for buffer, layout in plan.layouts.items():
        memory: np.ndarray = np.zeros(layout.size, DTYPES[buffer.dtype])
        arrays[layout.storage] = memory
        if buffer.fill:
            places[buffer].view(memory)[...] = buffer.fill
    for buffer, value in [*plan.constants.items(), *values.items()]:
        memory = arrays[plan.layouts[buffer].storage]
        places[buffer].view(memory)[...] = value.reshape(buffer.shape)
    for buffer, stream in zip(plan.streams, streams, strict=True):
        arrays[plan.layouts[buffer].storage] = stream.reshape(len(stream), -1)
    for buffer, layout in plan.layouts.items():
        if buffer.kind == "stream_rows":
            assert rows is not None
            arrays[layout.storage] = rows

    def window(buffer: Buffer) -> np.ndarray:
        return places[buffer].view(arrays[plan.layouts[buffer].storage])

    for run, count in groups([code.slice for code in plan.codes]):
        for place in range(count):
            for number in run:
                code = plan.codes[number]
                if isinstance(code, RoutineCode):
                    code.run(window)
                else:
                    interpret(code, arrays, place=place)
    return [window(b).reshape(b.given).copy() for b in plan.outputs]
