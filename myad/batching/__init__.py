"""`vmap`: a function of one example as a function of many, without a loop.

In: a function, recorded on the shapes of one example. Out: its steps carried out on arrays with one
more axis, the first, by the batching rule of each operation (`rules.py`, `loops.py`).
"""

from myad.batching.loops import vmap

__all__ = ["vmap"]
