"""Names of buffers and kernels in code: readable, safe in LLVM, no two alike.

Parameters are called as users like ("linear/w", "a.b" beside "a_b", "größe"); LLVM knows letters,
digits and underscores, and one name per value of a function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MAX_LENGTH = 60
RESERVED = ("entry", "run")  # a label in every function; the function that calls the kernels


def name_apart(things: Iterable[Any]) -> None:
    """Make the `name` of every thing safe and different from all others."""
    taken = set(RESERVED)
    for thing in things:
        base = re.sub(r"[^A-Za-z0-9_]", "_", thing.name)[:MAX_LENGTH] or "_"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        thing.name = name
