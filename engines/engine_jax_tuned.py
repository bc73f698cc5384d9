"""JAX as in `engine_jax.py`, with the convolution written out for XLA's CPU back end.

A user who profiles the plain engine finds most of its time in XLA's convolution. Written as shifted
views and a matrix product, the same network trains several times faster.
"""

from engines.engine_jax import Jax


class TunedJax(Jax):
    """The same with another table of layers."""

    rules = "TUNED_LAYERS"


if __name__ == "__main__":
    TunedJax.main()
