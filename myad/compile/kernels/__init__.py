"""Loop nests over axes, not yet ordered: what is computed, not how.

In: a `Program`. Out: `Kernel`s: expressions over axes, fused where that saves memory traffic.
"""
