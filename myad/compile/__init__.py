"""The compiler: a recorded step becomes one native loop. Needs llvmlite.

The way is: `trace` (a `Program`) → `simplify` → `fuse` (kernels) → `schedule` (layouts, vector
axes, register blocks) → `lower` (loop code) → `render` (LLVM IR) → `native` (machine code).
docs/compiler.md walks it with a small net.
"""

from myad.compile.function import CompiledFunction, CompiledPredict, jit
from myad.compile.llvm.native import host
from myad.compile.training import CompiledTraining

__all__ = [
    "CompiledFunction",
    "CompiledPredict",
    "CompiledTraining",
    "host",
    "jit",
]
