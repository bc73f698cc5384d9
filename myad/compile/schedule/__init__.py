"""How kernels run: vector axis, register blocks, layouts of arrays in memory.

In: kernels and a `Machine`. Out: a `Schedule` per kernel and a `Layout` per buffer.
"""
