"""How fast compiled functions are beside JAX's, as ratios within one run, one thread each.

    python benchmarks/jit.py                 calls of small functions and the three programs
    python benchmarks/jit.py --kernels       also what each kernel of ours costs
    python benchmarks/jit.py --turns 300     more turns

Both run in this process, in turns, and the least of each counts. JAX is given its own arrays, which
costs it least; ours are NumPy's, as JAX's are with `--numpy`. Values and gradients must agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):  # before JAX counts the cores
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np

import myad
from myad.compile.llvm.module import Module
from myad.compile.load import module_of
from myad.tree import leaves

Case = tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]
RNG = np.random.default_rng(0)


def main() -> None:
    """Print a row per program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--numpy", action="store_true")
    options = parser.parse_args()
    print(f"{'us':<44}{'myad':>10}{'JAX':>10}{'myad / JAX':>12}")
    for name, ours, theirs, arguments in cases():
        given = arguments if options.numpy else jax.tree.map(jnp.asarray, arguments)
        compiled, rival = myad.jit(ours), jax.jit(theirs)
        agree(compiled(*arguments), rival(*given))
        runs = (
            lambda f=compiled, xs=arguments: f(*xs),
            lambda f=rival, xs=given: jax.block_until_ready(f(*xs)),
        )
        mine, other = in_turns(runs, options.turns)
        print(f"{name:<44}{mine:>10.1f}{other:>10.1f}{mine / other:>12.2f}", flush=True)
        if options.kernels:
            for seconds, kernel in kernels(compiled.lower(*arguments), leaves(arguments)):
                print(f"  {seconds * 1e6:>8.1f}  {kernel[:110]}")


def cases() -> Iterator[Case]:
    """Name, function for myad, function for JAX, arguments."""
    four, tree = random(4), {"a": random(4), "b": random(4)}
    yield "x + 1 of 4 floats", lambda x: x + 1, lambda x: x + 1, (four,)
    yield "the same of a dict of two", *[lambda p: (p["a"] + 1, p["b"] + 1)] * 2, (tree,)
    both = myad.value_and_grad, jax.value_and_grad
    yield (
        "logsumexp of 1e6, with gradient", both[0](myad.logsumexp), both[1](jax.nn.logsumexp),
        (random(10**6),),
    )  # fmt: skip
    matrix = random(512), random(2048, 512), random(2048)
    yield "least squares 2048x512, with gradient", *[g(squares) for g in both], matrix
    weights = {"scale": 1 + random(64) / 9, "shift": random(64), "w": random(64, 64) / 8,
               "b": random(64)}  # fmt: skip
    functions = both[0](layer(myad)), both[1](layer(jnp))
    yield "layer norm and tanh layer 128x64, gradient", *functions, (weights, random(128, 64))


def random(*shape: int) -> np.ndarray:
    """Normal numbers, float32."""
    return RNG.standard_normal(shape).astype("f4")


def squares(w: Any, a: Any, b: Any) -> Any:
    """Mean square of a·w − b."""
    rest = a @ w - b
    return (rest * rest).mean()


def layer(library: Any) -> Callable[..., Any]:
    """Layer normalisation, a dense layer with tanh, the sum of squares."""

    def f(p: Any, x: Any) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = library.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
        y = library.tanh((centred / scale * p["scale"] + p["shift"]) @ p["w"] + p["b"])
        return (y * y).sum()

    return f


def agree(mine: Any, other: Any) -> None:
    """Both must have computed the same."""
    for x, y in zip(jax.tree.leaves(mine), jax.tree.leaves(other), strict=True):
        scale = float(np.abs(y).max())
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * scale)


def in_turns(runs: tuple[Callable[[], Any], ...], turns: int) -> list[float]:
    """The least microseconds of each; short ones are repeated within a turn."""
    times = [max(1, int(2e-4 / seconds(run, 3))) for run in runs]
    least = [float("inf")] * len(runs)
    for _ in range(turns):
        for n, run in enumerate(runs):
            least[n] = min(least[n], seconds(run, times[n]))
    return [1e6 * t for t in least]


def seconds(run: Callable[[], Any], times: int) -> float:
    """Seconds of one call, on average over `times`."""
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def kernels(module: Module, values: list[np.ndarray]) -> Iterator[tuple[float, str]]:
    """Seconds of each kernel on its own (1 to 2 us of them for the call), and what it computes."""
    plan = module.plan
    alike = {code.name: kernel for kernel, code in zip(plan.kernels, plan.codes, strict=True)}
    for kernel, code in zip(plan.kernels, plan.codes, strict=True):
        if code.model is not None:
            yield 0.0, f"{kernel.name}, as {alike[code.model.name].name}"
            continue
        alone = module_of(dataclasses.replace(plan, kernels=[kernel], codes=[code]))
        for place, value in zip(alone.inputs, values, strict=True):
            alone.write(place, np.asarray(value))
        yield min(seconds(alone.run, 1) for _ in range(50)), str(kernel)


if __name__ == "__main__":
    main()
