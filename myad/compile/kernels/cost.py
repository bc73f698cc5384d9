"""What an operation costs, in fused multiply-adds on one vector: for fusion and for schedules."""

from __future__ import annotations

# Cost of an operation on one vector, in fused multiply-adds; what is not named costs 1.
COST = {"div": 4, "sqrt": 6, "exp": 10, "log": 60, "tanh": 60, "pow": 120, "mul": 0.5, "cast": 0.5}
ACROSS_COST = 6.0  # adding up the lanes of a vector
CALLED = ("log", "tanh", "pow", "sin", "cos")  # one library call per lane
