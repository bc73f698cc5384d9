"""A step, recorded and simplified.

In: a Python function and the shapes and dtypes of its arguments. Out: a `Program`, a flat checked
list of primitives on variables; derivatives are already part of it.
"""
