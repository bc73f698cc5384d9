"""What this machine can do: the fastest matrix product and the fastest copy, as a program of its own.

`python peak.py THREADS DTYPE` prints one JSON object. A program, because BLAS reads how many threads
it may use when it is loaded.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SIDE = 1024  # of square matrices: three of them are read and written 700 times less than computed
COPIED = 1 << 26  # bytes of each array: beyond any cache of a core
TIMES = 7


def flop_per_s(dtype: str) -> float:
    """Of the best of some matrix products; a multiply-add is two."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((SIDE, SIDE)).astype(dtype) for _ in range(2))
    out = np.empty_like(x)
    return 2 * SIDE**3 / _best(lambda: np.dot(x, y, out=out))


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
    found = {"flop_per_s": flop_per_s(dtype), "bytes_per_s": bytes_per_s(threads)}
    print(json.dumps({**found, "threads": threads}))
