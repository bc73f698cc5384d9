"""What this machine can do: the fastest arithmetic and the fastest copy, as a program of its own.

`python peak.py THREADS DTYPE` prints one JSON object. A program, because BLAS reads how many
threads it may use when it is loaded.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SIDE = 1024  # of square matrices: three of them are read and written 700 times less than computed
COPIED = 1 << 26  # bytes of each array: beyond any cache of a core
TIMES = 7


def flop_per_s(dtype: str, threads: int) -> float:
    """Of matrix products by NumPy's BLAS, or of a loop of multiply-adds, whichever is faster.

    A multiply-add is two operations. The loop runs on one core and counts for each thread.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((SIDE, SIDE)).astype(dtype) for _ in range(2))
    out = np.empty_like(x)
    products = 2 * SIDE**3 / _best(lambda: np.dot(x, y, out=out))
    # by its path: this program runs without the project's folders
    fma = runpy.run_path(str(Path(__file__).with_name("fma.py")))["flop_per_s"]
    try:
        return max(products, threads * fma(dtype, TIMES))
    except (ImportError, OSError, RuntimeError):  # no llvmlite that works here
        return products


def bytes_per_s(threads: int) -> float:
    """Of the best of some copies, each thread copying an array of its own."""
    count = COPIED // 4
    pairs = [(np.ones(count, np.float32), np.zeros(count, np.float32)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        best = _best(lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs)))
    return 2 * COPIED * threads / best


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of some times, after one that is not counted."""
    work()
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    threads, dtype = int(sys.argv[1]), sys.argv[2]
    found = {"flop_per_s": flop_per_s(dtype, threads), "bytes_per_s": bytes_per_s(threads)}
    print(json.dumps({**found, "threads": threads}))
