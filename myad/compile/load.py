"""A program as a `Module` that runs: its code from the disk, or built and put there.

What is found needs neither LLVM nor the stages of the compiler, which are imported only to build.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from myad.compile.identity import identity, sources
from myad.compile.llvm.module import Module, Stages
from myad.compile.llvm.native import NativeModule, host, object_code, processor
from myad.compile.places import Places, packed, unpacked
from myad.compile.program.canonical import canonical
from myad.compile.program.program import Program
from myad.compile.store import store

if TYPE_CHECKING:
    from myad.compile.loops.plan import Plan

FORMAT = "2"  # of what is kept
_SIZES = struct.Struct("<QQ")  # bytes of the facts, of the object code; constants follow


def load(
    program: Program, *, state: Mapping[int, int] | None = None, streams: Sequence[int] = (),
    arrays: bool = False, loss: int | None = None, collect: int | None = None,
    given: Sequence[np.ndarray] = (), counted: bool = False,
) -> Module:  # fmt: skip
    """`program` for this machine; the arguments are those of `build`, `entry.render`, `Arena`.

    Raises: CompileError naming what cannot be compiled.
    """
    machine = host()

    def plan() -> Plan:
        from myad.compile.build import build

        return build(program, machine, state=state, streams=streams, arrays=arrays)

    kept = store()
    how = sorted((state or {}).items()), list(streams), arrays, loss, collect, machine
    key = _key(program, *how, *(["counted"] if counted else [])) if kept else None
    found = _unpacked(kept.read(key)) if kept and key else None
    if found is not None:
        return Module(*found, given=given, stages=lambda: _stages(plan(), loss, collect, counted))
    made = _stages(plan(), loss, collect, counted)
    code, places = _compiled(made, collect)
    module = Module(NativeModule(code), places, given=given, stages=lambda: made)
    if kept and key and sources() is not None:  # the stages were imported only now
        kept.write(key, _packed(code, places))
    return module


def module_of(
    plan: Plan, *, loss: int | None = None, collect: int | None = None,
    given: Sequence[np.ndarray] = (), poison: int | None = None,
) -> Module:  # fmt: skip
    """A plan as machine code, whatever is on the disk."""
    made = _stages(plan, loss, collect)
    code, places = _compiled(made, collect)
    return Module(NativeModule(code), places, given=given, poison=poison, stages=lambda: made)


def _stages(plan: Plan, loss: int | None, collect: int | None, counted: bool = False) -> Stages:
    from myad.compile.llvm.entry import render

    return Stages(plan, render(plan, loss, collect, counted))


def _compiled(made: Stages, collect: int | None) -> tuple[bytes, Places]:
    from myad.compile.loops.plan import places_of

    return object_code(made.ir), places_of(made.plan, collect)


def _key(program: Program, *how: Any) -> str | None:
    """The name under which this is kept; None if it cannot be."""
    text = canonical(program)
    return None if text is None else identity(FORMAT, text, repr(how), *processor())


def _packed(code: bytes, places: Places) -> bytes:
    facts, constants = packed(places)
    text = json.dumps(facts).encode()
    return _SIZES.pack(len(text), len(code)) + text + code + constants


def _unpacked(content: bytes | None) -> tuple[NativeModule, Places] | None:
    """Code and places of what `_packed` made; None of anything else."""
    if content is None:
        return None
    try:
        size, code_size = _SIZES.unpack_from(content)
        start, end = _SIZES.size + size, _SIZES.size + size + code_size
        facts = json.loads(content[_SIZES.size : start])
        places = unpacked(facts, content[end:])
        return NativeModule(content[start:end], is_fresh=False), places
    except (ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None
