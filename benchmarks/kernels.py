"""GFLOP/s of convolutions and matrix products, beside oneDNN, OpenBLAS and the core's peak.

    python benchmarks/kernels.py                       everything
    python benchmarks/kernels.py --only matmul         of peak, convolutions, matmul
    python benchmarks/kernels.py --match 16x16x128     convolutions whose name has this in it
    python benchmarks/kernels.py --no-rivals           without PyTorch (oneDNN) and OpenBLAS

One thread each, all in turns in one process, the best of several. A pass is measured as training
runs it: operands and results in the program's own memory, in the layouts the compiler chose. The
peak is that of independent multiply-adds on vectors in registers, measured in the same turns.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ.pop("OPENBLAS_CORETYPE", None)

import numpy as np

from myad.compile.build import build
from myad.compile.llvm.module import Module
from myad.compile.llvm.native import NativeModule, host, object_code
from myad.compile.load import module_of
from myad.compile.program.trace import trace
from myad.ops import conv2d
from myad.ops.conv import correlate2d_input_gradient, correlate2d_kernel_gradient
from myad.ops.index import pad


class Case(NamedTuple):
    """A convolution: images of size × size × channels, `filters` kernels of kernel × kernel."""

    size: int
    channels: int
    filters: int
    kernel: int = 3
    stride: int = 1
    padding: str = "same"

    def __str__(self) -> str:
        rest = f" /{self.stride}" if self.stride > 1 else ""
        valid = " valid" if self.padding == "valid" else ""
        return (f"{self.size}x{self.size}x{self.channels}->{self.filters} "
                f"{self.kernel}x{self.kernel}{rest}{valid}")  # fmt: skip

    @property
    def out(self) -> int:
        """Pixels along a side of the output."""
        whole = self.size if self.padding == "same" else self.size - self.kernel + 1
        return -(-whole // self.stride)

    @property
    def flop(self) -> int:
        """Floating-point operations an image, the border's zeros counted as the rivals count."""
        return 2 * self.out**2 * self.kernel**2 * self.channels * self.filters


CASES = [
    Case(32, 3, 32), Case(32, 32, 32), Case(16, 32, 64), Case(16, 64, 64), Case(16, 128, 128),
    Case(8, 128, 256), Case(8, 256, 256), Case(16, 64, 64, kernel=1), Case(32, 64, 64, kernel=1),
    Case(8, 256, 256, kernel=1), Case(32, 16, 16), Case(16, 64, 64, kernel=5),
    Case(14, 6, 16, 5, padding="valid"), Case(32, 32, 64, stride=2), Case(16, 64, 128, stride=2),
    Case(16, 64, 128, kernel=1, stride=2), Case(28, 20, 50, 5, padding="valid"),
]  # fmt: skip
SIZES = ((256,) * 3, (512,) * 3, (1024,) * 3, (1021,) * 3, (509,) * 3, (2048,) * 3,
         (128, 4096, 256), (32, 1021, 10))  # fmt: skip

HEADER = "{:<26}{:>6} {:<16}    myad{:>8}  of it of peak"
ROW = "{!s:<26}{:>6} {:<16}{:>8.0f}{:>8.0f}{:>7.2f}{:>8.2f}"


def peak() -> tuple[Callable[[], object], float]:
    """A run of independent chains of multiply-adds in registers, and its GFLOP."""
    machine, turns = host(), 200_000
    lanes = machine.vector_bytes // 4
    chains = min(24, machine.registers - 4)
    kind = f"<{lanes} x float>"
    lines = ["define float @peak(ptr %p) {", "entry:", f" %a = load {kind}, ptr %p, align 4",
             " br label %loop", "loop:", " %i = phi i64 [0, %entry], [%n, %loop]"]  # fmt: skip
    lines += [f" %s{c} = phi {kind} [%a, %entry], [%r{c}, %loop]" for c in range(chains)]
    fma = f"@llvm.fma.v{lanes}f32"
    lines += [f" %r{c} = call {kind} {fma}({kind} %a, {kind} %a, {kind} %s{c})"
              for c in range(chains)]  # fmt: skip
    lines += [" %n = add i64 %i, 1", f" %go = icmp ult i64 %n, {turns}",
              " br i1 %go, label %loop, label %done", "done:"]  # fmt: skip
    total = "%r0"
    for c in range(1, chains):
        lines.append(f" %t{c} = fadd {kind} {total}, %r{c}")
        total = f"%t{c}"
    lines += [f" %f = extractelement {kind} {total}, i32 0", " ret float %f", "}"]
    lines.append(f"declare {kind} {fma}({kind}, {kind}, {kind})")
    native = NativeModule(object_code("\n".join(lines)))
    run = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_void_p)(native.address("peak"))
    start = np.full(64, 1e-3, np.float32)
    return lambda: (run(start.ctypes.data), native), 2e-9 * lanes * chains * turns


def best(runs: dict[str, Callable[[], object]], budget: float) -> dict[str, float]:
    """Least seconds of each, all in turns, for `budget` seconds and three turns at least."""
    least = dict.fromkeys(runs, float("inf"))
    end, turns = time.perf_counter() + budget, 0
    while turns < 3 or time.perf_counter() < end:
        turns += 1
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def compiled(
    function: Callable[..., Any], *arrays: np.ndarray
) -> tuple[Callable[[], object], Module]:
    """`function` as native code, working on copies of `arrays` in its own memory."""
    program, _ = trace(function, *arrays, names=[f"x{n}" for n in range(len(arrays))])
    module = module_of(build(program, host()))
    for place, array in zip(module.inputs, arrays, strict=True):
        module.write(place, array)
    return module.run, module


def passes(case: Case, batch: int) -> dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]:
    """The three passes as functions, with their operands."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, case.size, case.size, case.channels)).astype("f4")
    w = rng.standard_normal((case.kernel, case.kernel, case.channels, case.filters)).astype("f4")
    dz = rng.standard_normal((batch, case.out, case.out, case.filters)).astype("f4")
    total = max((case.out - 1) * case.stride + case.kernel - case.size, 0)
    before = total // 2 if case.padding == "same" else 0
    after = total - before if case.padding == "same" else 0
    size, steps = (case.size + before + after,) * 2, (case.stride,) * 2

    def forward(x: Any, w: Any) -> Any:
        return conv2d(x, w, strides=case.stride, padding=case.padding)

    def input_gradient(dz: Any, w: Any) -> Any:
        dx = correlate2d_input_gradient(dz, w, size=size, strides=steps)
        return dx[:, before : size[0] - after, before : size[1] - after]

    def kernel_gradient(x: Any, dz: Any) -> Any:
        if before or after:
            x = pad(x, widths=((0, 0), (before, after), (before, after), (0, 0)), value=0.0)
        return correlate2d_kernel_gradient(x, dz, size=(case.kernel,) * 2, strides=steps)

    return {"forward": (forward, (x, w)), "input gradient": (input_gradient, (dz, w)),
            "kernel gradient": (kernel_gradient, (x, dz))}  # fmt: skip


def onednn(case: Case, batch: int) -> dict[str, Callable[[], object]]:
    """The same passes by PyTorch, channels last."""
    import torch

    torch.set_num_threads(1)
    layout = torch.channels_last
    x = torch.randn(batch, case.channels, case.size, case.size).to(memory_format=layout)
    w = torch.randn(case.filters, case.channels, case.kernel, case.kernel).to(memory_format=layout)
    total = max((case.out - 1) * case.stride + case.kernel - case.size, 0)
    extra = total % 2 if case.padding == "same" else 0
    before = total // 2 if case.padding == "same" else 0
    if extra:  # PyTorch pads both sides alike: pad beforehand, outside of what is timed
        x = torch.nn.functional.pad(x, (before, before + 1, before, before + 1))
        x = x.to(memory_format=layout)
        before = 0
    steps = [case.stride] * 2, [before] * 2, [1, 1]
    dz = torch.randn(batch, case.filters, case.out, case.out).to(memory_format=layout)
    backward = torch.ops.aten.convolution_backward

    def gradient(mask: list[bool]) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return backward(dz, x, w, None, *steps, False, [0, 0], 1, mask)

        return run

    def forward() -> object:
        with torch.no_grad():
            return torch.nn.functional.conv2d(x, w, None, *steps)

    return {"forward": forward, "input gradient": gradient([True, False, False]),
            "kernel gradient": gradient([False, True, False])}  # fmt: skip


def convolutions(match: str, batches: list[int], rivals: bool, budget: float) -> None:
    """Print a line per convolution, batch and pass."""
    top, work = peak()
    print(HEADER.format("convolution", "batch", "pass", "oneDNN"))
    for case in CASES:
        if match not in str(case):
            continue
        for batch in batches:
            theirs = onednn(case, batch) if rivals else {}
            for name, (function, operands) in passes(case, batch).items():
                run, module = compiled(function, *operands)
                runs = {"myad": run, **({"oneDNN": theirs[name]} if rivals else {}), "peak": top}
                seconds = best(runs, budget)
                ours = case.flop * batch / seconds["myad"] / 1e9
                other = case.flop * batch / seconds["oneDNN"] / 1e9 if rivals else float("nan")
                share = ours / work * seconds["peak"]
                print(ROW.format(case, batch, name, ours, other, ours / other, share), flush=True)
                del run, module


def products(rivals: bool, budget: float) -> None:
    """Print a line per matrix product."""
    top, work = peak()
    print(HEADER.format("matrix product", "", "", "BLAS"))
    for rows, inner, columns in SIZES:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((rows, inner)).astype("f4")
        b = rng.standard_normal((inner, columns)).astype("f4")
        out = np.empty((rows, columns), "f4")
        run, module = compiled(lambda a, b: a @ b, a, b)
        runs: dict[str, Callable[[], object]] = {"myad": run, "peak": top}
        if rivals:
            runs["BLAS"] = lambda a=a, b=b, out=out: np.dot(a, b, out=out)
        seconds = best(runs, budget)
        flop = 2 * rows * inner * columns
        ours = flop / seconds["myad"] / 1e9
        other = flop / seconds["BLAS"] / 1e9 if rivals else float("nan")
        name, share = f"{rows}x{inner}x{columns}", ours / work * seconds["peak"]
        print(ROW.format(name, "", "", ours, other, ours / other, share), flush=True)
        del run, module


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="convolutions,matmul")
    parser.add_argument("--match", default="")
    parser.add_argument("--batches", default="32,128")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each line")
    parser.add_argument("--no-rivals", action="store_true")
    options = parser.parse_args()
    run, work = peak()
    least = best({"peak": run}, 0.3)["peak"]
    print(f"load {os.getloadavg()[0]:.2f}; peak of one core {work / least:.0f} GFLOP/s")
    if "matmul" in options.only:
        products(not options.no_rivals, options.seconds)
    if "convolutions" in options.only:
        batches = [int(part) for part in options.batches.split(",")]
        convolutions(options.match, batches, not options.no_rivals, options.seconds)
    least = best({"peak": run}, 0.3)["peak"]
    print(f"load {os.getloadavg()[0]:.2f}; peak of one core {work / least:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
