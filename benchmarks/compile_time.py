"""How long programs take to compile, stage by stage, and how that grows with their length.

    python benchmarks/compile_time.py                     everything, best of 3
    python benchmarks/compile_time.py --repeats 1 --only chain,lstm
    python benchmarks/compile_time.py --only product      sin(x) @ w beside x @ w, as it runs

Seconds of this process's CPU, so that other programs disturb little; steps are those of the program
after simplification, kernels those after fusion, of which `forms` are different. `found` is what it
takes, tracing included, where the code is on the disk already.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import myad
from myad.compile import build as building
from myad.compile import jit
from myad.compile import load as loading
from myad.compile.llvm.entry import render
from myad.compile.llvm.native import NativeModule, host, object_code
from myad.compile.program.trace import flatten, trace
from myad.compile.store import Store

Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

# stage: the functions of `build` whose time it is
STAGES = {
    "simplify": ("simplify",),
    "fuse": ("kernels_of", "fuse", "split_dimensions"),
    "schedule": ("plan",),
    "lower": ("codes_of", "place"),
}
PAPER = [myad.Conv2D(1, 3, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
         myad.Dense(10, activation="softmax")]  # fmt: skip
LENET5 = [
    myad.Conv2D(6, 5, padding="same", activation="relu"), myad.MaxPool2D(2),
    myad.Conv2D(16, 5, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
    myad.Dense(120, activation="relu"), myad.Dense(84, activation="relu"),
    myad.Dense(10, activation="softmax"),
]  # fmt: skip


def main() -> None:
    """Print a row per program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="paper,lenet5,chain,mixed,tanh,lstm,product")
    options = parser.parse_args()
    wanted = options.only.split(",")
    columns = ["trace", *STAGES, "rest", "render", "llvm", "total", "found"]
    print(f"{'program':<16}{'steps':>7}{'kernels':>9}{'forms':>7}"
          + "".join(f"{name:>10}" for name in columns))  # fmt: skip
    for name, case in cases():
        if name.split()[0] in wanted:
            counts, seconds = best(case, options.repeats)
            print(f"{name:<16}{counts[0]:>7}{counts[1]:>9}{counts[2]:>7}"
                  + "".join(f"{seconds[c]:>10.3f}" for c in columns), flush=True)  # fmt: skip
    if "product" in wanted:
        print(f"sin(x) @ w takes {product_ratio():.2f} times as long as x @ w")


def cases() -> Iterator[tuple[str, Case]]:
    """Every program with its name."""
    yield "paper", training(PAPER, 1)
    yield "lenet5", training(LENET5, 32)
    for count in (50, 100, 300, 1000):
        yield f"chain {count}", chain(count)
    for count in (100, 1000):
        yield f"mixed {count}", mixed(count)
    yield "tanh 400", hyperbolic(400)
    for count in (5, 10, 20, 40):
        yield f"lstm {count}", lstm(count)


def training(layers: list[Any], batch: int) -> Case:
    """A training step of a network on images of 28 by 28 bytes."""
    model, optimizer = myad.Sequential(layers, (28, 28, 1)), myad.SGD(learning_rate=0.001)
    step = myad.training_step(model, "sparse_categorical_crossentropy", optimizer)
    trained = {name: model.parameters[name] for name in model.trainable}
    state = model.parameters, optimizer.init(trained)
    data = np.zeros((batch, 28, 28, 1), np.uint8), np.zeros(batch, np.uint8)
    count = len(flatten(state))
    how = {"state": {n + 1: n for n in range(count)}, "streams": (count, count + 1)}
    return step, (*state, *data), how


def chain(count: int) -> Case:
    """Steps of x + 0.01·sin(x), each three operations, differentiated."""

    def f(x: Any) -> Any:
        for _ in range(count):
            x = x + 0.01 * myad.sin(x)
        return x.sum()

    return myad.value_and_grad(f), (np.linspace(0, 1, 64, dtype="f4"),), {}


def mixed(count: int) -> Case:
    """`count` operations, a matrix product and three elementwise in turns, differentiated."""
    rng = np.random.default_rng(0)

    def f(w: Any, x: Any) -> Any:
        for _ in range(count // 4):
            x = 0.9 * myad.tanh(x @ w + 0.1)
        return x.sum()

    w, x = rng.standard_normal((32, 32)) / 6, rng.standard_normal((16, 32))
    return myad.value_and_grad(f), (w.astype("f4"), x.astype("f4")), {}


def hyperbolic(count: int) -> Case:
    """tanh of tanh of ..."""

    def f(x: Any) -> Any:
        for _ in range(count):
            x = myad.tanh(x)
        return x

    return f, (np.linspace(0, 1, 64, dtype="f4"),), {}


def lstm(count: int, batch: int = 16, hidden: int = 32, features: int = 16) -> Case:
    """An LSTM unrolled over `count` steps, with the gradient of its parameters."""
    rng = np.random.default_rng(0)
    shapes = {"w": (features, 4 * hidden), "u": (hidden, 4 * hidden), "b": (4 * hidden,)}
    weights = {name: rng.standard_normal(s).astype("f4") / 10 for name, s in shapes.items()}

    def f(p: Any, x: Any) -> Any:
        h = c = np.zeros((batch, hidden), "f4")
        for t in range(count):
            z = x[t] @ p["w"] + h @ p["u"] + p["b"]
            i, g, n, o = (z[:, k * hidden : (k + 1) * hidden] for k in range(4))
            c = myad.sigmoid(g) * c + myad.sigmoid(i) * myad.tanh(n)
            h = myad.sigmoid(o) * myad.tanh(c)
        return (h * h).sum()

    x = rng.standard_normal((count, batch, features)).astype("f4")
    return myad.value_and_grad(f), (weights, x), {}


def best(case: Case, repeats: int) -> tuple[tuple[int, int, int], dict[str, float]]:
    """Counts of steps, kernels and forms; seconds by stage of the quickest of several times."""
    runs = [compiled(*case) for _ in range(repeats)]
    return min(runs, key=lambda run: run[1]["total"])


def compiled(
    function: Callable[..., Any], arguments: Sequence[Any], how: dict[str, Any]
) -> tuple[tuple[int, int, int], dict[str, float]]:
    """Compile once."""
    marks = [time.process_time()]
    with watched() as seconds:
        program, _ = trace(function, *arguments)
        marks.append(time.process_time())
        plan = building.build(program, host(), **how)
        marks.append(time.process_time())
    ir = render(plan)
    marks.append(time.process_time())
    NativeModule(object_code(ir))
    marks.append(time.process_time())
    named = sum(seconds.values())
    for name, start, end in zip(
        ("trace", "rest", "render", "llvm"), marks, marks[1:], strict=False
    ):
        seconds[name] = end - start
    seconds["rest"] -= named
    seconds["total"] = marks[-1] - marks[0]
    seconds["found"] = found(function, arguments, how)
    forms = sum(code.model is None for code in plan.codes)
    return (len(plan.program.steps), len(plan.kernels), forms), seconds


def found(
    function: Callable[..., Any], arguments: Sequence[Any], how: dict[str, Any]
) -> float:  # fmt: skip
    """Seconds of the second time, with a cache of its own."""
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        loading.store = lambda: Store(Path(folder) / "myad")
        for _ in range(2):
            start = time.process_time()
            loading.load(trace(function, *arguments)[0], **how)
            seconds = time.process_time() - start
    return seconds


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds by stage of the functions that `build` calls meanwhile."""
    seconds = dict.fromkeys(STAGES, 0.0)
    before = {name: getattr(building, name) for names in STAGES.values() for name in names}

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **settings: Any) -> Any:
            start = time.process_time()
            result = function(*args, **settings)
            seconds[stage] += time.process_time() - start
            return result

        return call

    for stage, names in STAGES.items():
        for name in names:
            setattr(building, name, timed(stage, before[name]))
    try:
        yield seconds
    finally:
        for name, function in before.items():
            setattr(building, name, function)


def product_ratio(size: int = 256, repeats: int = 50) -> float:
    """Time of sin(x) @ w over that of x @ w; the two in turns, the best of each."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((size, size)).astype("f4") for _ in range(2))
    functions = jit(lambda x, w: myad.sin(x) @ w), jit(lambda x, w: x @ w)
    modules = [function.lower(x, w) for function in functions]
    least = [float("inf")] * len(modules)
    for _ in range(repeats):
        for n, module in enumerate(modules):
            start = time.perf_counter()
            module.run()
            least[n] = min(least[n], time.perf_counter() - start)
    return least[0] / least[1]


if __name__ == "__main__":
    main()
