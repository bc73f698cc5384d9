"""Who records: the bits of those who follow tensors, and the order in which tensors are made.

Bit 0 belongs to leaves made with `requires_grad=True`; every running transformation (`grad`, `vjp`,
...) takes a bit of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

LEAF_BIT = 1
_free_bits = [1 << 1]
_bits_made = count(2)

next_order = count().__next__  # tensors are numbered as they are made
next_level = count(1).__next__  # so are traces and the like: of two, the later one is inside


class Origin(NamedTuple):
    """Where an operation of a program comes from: for people who ask what its time went to.

    Fields: `scope` the layer's number, "images", "loss" or "update", None outside of training;
    `op` the operation that was called; `argument` of a gradient: which of its operands' it is, None
    in the forward pass, -1 where it belongs to several.
    """

    scope: int | str | None
    op: str
    argument: int | None = None


class _ThreadState(threading.local):
    """`active` holds the bits of those for whom operations are recorded at the moment; `stage` is
    the body being recorded that takes operations on what comes from outside too, if there is one;
    `scope` says what operations belong to, and `origin`, in a backward pass, whose gradient they
    compute.
    """

    active = LEAF_BIT
    stage: Any = None
    scope: int | str | None = None
    origin: Origin | None = None


thread_state = _ThreadState()


stages: list[None] = []  # as many as there are stages, of all threads: mostly none


@contextmanager
def staged(stage: Any) -> Iterator[None]:
    """Context in which `stage` is the one of this thread."""
    before, thread_state.stage = thread_state.stage, stage
    stages.append(None)
    try:
        yield
    finally:
        stages.pop()
        thread_state.stage = before


def take_bit() -> int:
    """A tracking bit nobody else holds; return it with `free_bit`."""
    try:
        return _free_bits.pop()
    except IndexError:
        return 1 << next(_bits_made)


def free_bit(bit: int) -> None:
    """Give a bit of `take_bit` back."""
    _free_bits.append(bit)


class no_grad:
    """Context in which nothing is recorded: `with no_grad(): ...`."""

    def __enter__(self) -> None:
        self._before = thread_state.active
        thread_state.active = 0

    def __exit__(self, *exception: object) -> None:
        thread_state.active = self._before
