"""JAX as in `engine_jax.py`, with the convolution written out for XLA's CPU back end.

A user who profiles the plain engine finds most of its time in XLA's convolution. Written as shifted
views and a matrix product, the same network trains several times faster.
"""

from functools import partial

from engines.engine_jax import test_with, train_with
from harness.contract import run_engine

if __name__ == "__main__":
    run_engine(train=partial(train_with, "TUNED_LAYERS"), test=partial(test_with, "TUNED_LAYERS"))
