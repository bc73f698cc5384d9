"""How fast compiled training is, as ratios within one run on one machine.

    python benchmarks/compiled.py                          every cell against every rival
    python benchmarks/compiled.py --rivals jax,pytorch     against these only
    python benchmarks/compiled.py --only cells --threads 2 --cells vgg,lenet5:128
    python benchmarks/compiled.py --limit DIR              also against hand-written yardsticks
    python benchmarks/compiled.py --only inner,linear      of limit, inner, linear, passes, cells

A cell is a workload and a batch size. Every engine trains it through `bench run`, two epochs, with
as many threads as the others, and the second counts: what a framework compiles or caches in the
first is not held against it. All that is no cell is measured with one thread. DIR holds
`paper_cnn_limit.c` and `conv2_limit.py`. Run it on a quiet machine: it takes an hour.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import myad
from myad.compile import CompiledTraining, jit
from myad.compile.build import PASSES, build
from myad.compile.llvm.native import host
from myad.compile.load import module_of
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.compiled import compile_training

# workload, batch size, training images: enough for a second or more of the slowest engine
CELLS = [
    *(("paper", batch, images) for batch, images in
      ((1, 2000), (2, 4000), (8, 8000), (32, 20000), (128, 30000), (512, 60000))),
    *((name, batch, images) for name in ("two-conv", "lenet5") for batch, images in
      ((1, 2000), (32, 12000), (128, 20000))),
    *(("vgg", batch, 4096) for batch in (32, 128)),
    ("simplechains", 128, 20480), ("simplechains", 1024, 20480), ("wide", 128, 20480),
]  # fmt: skip
RIVALS = "jax,jax-tuned,pytorch,tensorflow,tensorflow-tuned,tensorflow-scan"
PAPER = [myad.Conv2D(1, 3, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
         myad.Dense(10, activation="softmax")]  # fmt: skip


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rivals", default=RIVALS)
    parser.add_argument("--limit", type=Path)
    parser.add_argument("--only", default="limit,inner,linear,passes,cells")
    parser.add_argument("--threads", type=int, default=1, help="of every engine in the cells")
    parser.add_argument("--cells", default="", help="these only: vgg,lenet5:128; all by default")
    options = parser.parse_args()
    parts = options.only.split(",")
    wanted = chosen(options.cells.split(",")) if options.cells else CELLS
    print(f"load {os.getloadavg()[0]:.2f}")
    if "limit" in parts:
        paper_loop(options.limit)
    if "inner" in parts:
        inner_layer(options.limit)
    if "linear" in parts:
        linear()
    if "passes" in parts:
        passes()
    if "cells" in parts:
        cells(wanted, options.rivals.split(","), options.threads)


def chosen(names: list[str]) -> list[tuple[str, int, int]]:
    """The cells of these names, `workload` or `workload:batch`."""
    known = {name for workload, batch, _ in CELLS for name in (workload, f"{workload}:{batch}")}
    if unknown := [name for name in names if name not in known]:
        sys.exit(
            f"--cells: {', '.join(unknown)}: no such cell; there are: {', '.join(sorted(known))}"
        )
    return [cell for cell in CELLS if cell[0] in names or f"{cell[0]}:{cell[1]}" in names]


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The training images and labels."""
    folder = Path(__file__).parents[1] / "harness" / "data" / "mnist"
    images = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return pixels, np.frombuffer(labels, np.uint8, offset=8)


def best(run: Callable[[], object], repeats: int = 9) -> float:
    """Least seconds of several runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def compiled(model: myad.Sequential, images: np.ndarray, labels: np.ndarray) -> CompiledTraining:
    """Training at batch 1 with the paper's loss and optimizer."""
    loss, optimizer = "sparse_categorical_crossentropy", myad.SGD(learning_rate=0.001)
    return compile_training(model, loss, optimizer, images, labels, batch_size=1)


def paper_loop(limit: Path | None) -> None:
    """The paper's training loop, batch 1, beside the same written by hand in C."""
    images, labels = mnist()
    model = myad.Sequential(PAPER, (28, 28, 1))
    start = time.perf_counter()
    training = compiled(model, images, labels)
    print(f"paper, batch 1: compiled in {time.perf_counter() - start:.3f} s, "
          f"arena {training.plan.size / 1024:.0f} KiB, no allocation while it runs")  # fmt: skip
    theirs = []
    with tempfile.TemporaryDirectory() as folder:
        program = hand_written(limit, Path(folder)) if limit else None
        ours = []
        for _ in range(5):  # in turns, so that both see the same machine
            ours.append(best(lambda: training.epoch(images, labels), 3))
            if program:
                theirs.append(program())
    print(f"  myad          {min(ours) / len(images) * 1e6:.3f} us per image")
    if theirs:
        print(f"  written in C  {min(theirs):.3f} us per image, ratio "
              f"{min(ours) / len(images) * 1e6 / min(theirs):.2f}")  # fmt: skip


def hand_written(limit: Path, folder: Path) -> Callable[[], float]:
    """Compile `paper_cnn_limit.c`; running it gives its microseconds per image."""
    data = Path(__file__).parents[1] / "harness" / "data" / "mnist"
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        with gzip.open(data / f"{name}.gz") as packed, (folder / name).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    source, program = limit / "paper_cnn_limit.c", folder / "limit"
    flags = ["-O3", "-march=native", "-ffast-math"]
    subprocess.run(["gcc", *flags, source, "-o", program, "-lm"], check=True)

    def run() -> float:
        done = subprocess.run([program, folder, "3"], capture_output=True, text=True, check=True)
        return float(json.loads(done.stdout)["us_per_image"])

    return run


def inner_layer(limit: Path | None) -> None:
    """A 5x5 convolution of (14, 14, 6) images with 16 filters, forward, 512 images."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((512, 14, 14, 6)).astype("f4")
    w, b = rng.standard_normal((5, 5, 6, 16)).astype("f4"), np.zeros(16, "f4")
    module = jit(lambda x, w, b: myad.conv2d(x, w) + b).lower(x, w, b)
    for place, value in zip(module.inputs, (x, w, b), strict=True):
        module.write(place, value)
    ours = best(module.run, 30) / len(x) * 1e6
    print(f"Conv2D(16, 5), forward: {ours:.2f} us per image, "
          f"{100 * 150 * 16 * 2 / ours / 1e3:.0f} GFLOP/s")  # fmt: skip
    if limit:
        done = subprocess.run([sys.executable, limit / "conv2_limit.py"], capture_output=True,
                              text=True, check=True)  # fmt: skip
        theirs = min(float(us) for us in re.findall(r"([\d.]+) us/image", done.stdout))
        print(f"  written by hand {theirs:.2f} us per image, ratio {ours / theirs:.2f}")


def linear() -> None:
    """Time grows with the number of images and with nothing else."""
    images, labels = mnist()
    model = myad.Sequential(PAPER, (28, 28, 1))
    training = compiled(model, images, labels)
    half = best(lambda: training.epoch(images[:30000], labels[:30000]))
    whole = best(lambda: training.epoch(images, labels))
    print(f"60,000 images take {whole / half:.2f} times as long as 30,000")


def passes() -> None:
    """The paper's loop with one thing left out at a time."""
    images, labels = mnist()
    model = myad.Sequential(PAPER, (28, 28, 1))
    step = myad.training_step(model, "sparse_categorical_crossentropy", myad.SGD())
    state = {"step": np.zeros((), np.int32)}
    program, _ = trace(step, model.parameters, state, images[:1], labels[:1])
    wide = host()
    variants = {"everything": (wide, ())}
    variants.update({f"without {name}": (wide, (name,)) for name in PASSES})
    variants["without vectors"] = (Machine(4, wide.registers), ())
    variants["vectors of 32 bytes, 16 registers"] = (Machine(32, 16), ())
    variants["one sum at a time"] = (Machine(wide.vector_bytes, 2), ())
    count = len(model.parameters) + 1
    modules = {}
    for name, (machine, left_out) in variants.items():
        plan = build(program, machine, state={n + 1: n for n in range(count)},
                     streams=(count, count + 1), without=left_out)  # fmt: skip
        modules[name] = module_of(plan, loss=0)
        for place, value in zip(modules[name].inputs, [*model.parameters.values(), *state.values()],
                                 strict=False):  # fmt: skip
            modules[name].write(place, value)
    rows = np.arange(20_000, dtype=np.int32)
    seconds = {name: float("inf") for name in modules}
    for _ in range(7):
        for name, module in modules.items():
            run = best(lambda m=module: m.run([images, labels], rows, len(rows)), 1)
            seconds[name] = min(seconds[name], run)
    for name, module in modules.items():
        kernels = len(module.plan.kernels)
        print(f"  {name:<36}{seconds[name] / len(rows) * 1e6:7.3f} us per image, "
              f"{seconds[name] / seconds['everything']:5.2f} times, {kernels} kernels")  # fmt: skip


def cells(wanted: list[tuple[str, int, int]], rivals: list[str], threads: int) -> None:
    """Every cell: microseconds per image, and how many times the best rival takes."""
    print(f"threads per engine: {threads}")
    print(f"{'cell':<18}{'myad':>9}  " + "".join(f"{name:>18}" for name in rivals)
          + "   best rival / myad")  # fmt: skip
    for workload, batch, images in wanted:
        times = measure(workload, batch, images, ["myad", *rivals], threads)
        known = [times[name] for name in rivals if name in times]
        line = f"{workload + ' ' + str(batch):<18}{times['myad']:>9.3f}  "
        line += "".join(f"{times[r]:>18.2f}" if r in times else f"{'-':>18}" for r in rivals)
        print(line + (f"   {min(known) / times['myad']:.2f}" if known else ""), flush=True)


def measure(
    workload: str, batch: int, images: int, engines: list[str], threads: int
) -> dict[str, float]:
    """Microseconds per image in the second epoch, by engine; missing where it failed."""
    with tempfile.TemporaryDirectory() as results:
        settings = {"training.batch_size": batch, "training.epochs": 2,
                    "data.train_limit": images, "data.test_limit": 100}  # fmt: skip
        changes = [f"--set={key}={value}" for key, value in settings.items()]
        subprocess.run(
            [sys.executable, "-m", "harness.cli", "run", "--preset", workload, "--repeats", "1",
             "--warmup", "0", "--no-verify", "--wait", "--name", "cell", "--results", results,
             "--threads", str(threads), "--engines", ",".join(engines), *changes],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        found = {}
        for engine in engines:
            report = Path(results) / "cell" / "trials" / f"0-{engine}" / "train" / "report.jsonl"
            events = [json.loads(line) for line in report.read_text().splitlines()] \
                if report.exists() else []  # fmt: skip
            epochs = [event["seconds"] for event in events if event["event"] == "epoch"]
            if len(epochs) == 2:
                found[engine] = epochs[1] / images * 1e6
        return found


if __name__ == "__main__":
    main()
