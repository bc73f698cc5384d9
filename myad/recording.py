"""Who records: the bits of those who follow tensors, and the order in which tensors are made.

Bit 0 belongs to leaves made with `requires_grad=True`; every running transformation (`grad`, `vjp`,
...) takes a bit of its own.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import NamedTuple

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
    """`active` holds the bits of those for whom operations are recorded at the moment; `scope` says
    what they belong to, and `origin`, in a backward pass, whose gradient they compute."""

    active = LEAF_BIT
    scope: int | str | None = None
    origin: Origin | None = None


thread_state = _ThreadState()


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
