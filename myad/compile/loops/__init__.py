"""Loop code: loops, loads, stores and arithmetic on scalars and vectors, as checked data.

In: a kernel, its schedule, layouts. Out: `LoopCode`, which `interpret` runs in Python (the tests'
reference) and `myad.compile.llvm` renders.
"""
