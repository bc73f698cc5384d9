"""Proof that engines do the same work.

Gradients, batches, order and steps against a float64 reference.

In: a workload, data, engines. Out: findings with deviations; `request` is the way in.
"""
