"""Control flow as operations: loops and branches that know what runs inside of them.

In: functions of trees of arrays, recorded once as a `Body`; what they close over becomes an input.
Out: one primitive each (`nested`), with derivatives, which the compiler turns into a native loop.
"""

from myad.control import elimination  # noqa: F401 (kernel rules of linear algebra)
from myad.control.cond import cond
from myad.control.custom import checkpoint, custom_jvp, custom_vjp
from myad.control.scan import fori_loop, scan
from myad.control.while_loop import while_loop

__all__ = [
    "checkpoint", "cond", "custom_jvp", "custom_vjp", "fori_loop", "scan", "while_loop",
]  # fmt: skip
