"""What compiled code may refuse; anything else that is refused counts as a failure.

docs/myad.md lists the same for users.
"""

from __future__ import annotations

import re

REFUSALS = {
    "sweeps that data count (eigh, svd)": r"no kernel rule for (symmetric|singular)_spectrum",
    "an element type": r"dtype that cannot be compiled",
}


def kind_of(refusal: str) -> str | None:
    """The key of `REFUSALS` that a CompileError's first line falls under; None for none."""
    for kind, pattern in REFUSALS.items():
        if re.search(pattern, refusal):
            return kind
    return None
