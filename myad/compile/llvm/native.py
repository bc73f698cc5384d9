"""Compiles LLVM IR for this computer's processor with llvmlite, in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from myad.compile.schedule.layout import Machine
from myad.errors import CompileError

_lock = threading.Lock()


@cache
def binding() -> Any:
    """llvmlite, initialised.

    Raises: CompileError if llvmlite is missing or does not know this processor.
    """
    try:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    except (ImportError, OSError, RuntimeError) as error:
        raise CompileError(
            f"compile: llvmlite is not usable here ({error}). Install llvmlite, or train eagerly."
        ) from error
    return llvm


@cache
def host() -> Machine:
    """Vector width and registers of this processor, asked of LLVM.

    The variable MYAD_VECTOR_BYTES (16, 32 or 64) narrows the vectors, to try other machines' code.
    """
    features = binding().get_host_cpu_features()
    if features.get("avx512f"):
        width, registers = 64, 32
    elif features.get("avx"):
        width, registers = 32, 16
    else:  # NEON has 32 registers of 16 bytes, SSE 16
        width, registers = 16, 32 if features.get("neon") else 16
    asked = os.environ.get("MYAD_VECTOR_BYTES")
    if asked in ("16", "32", "64"):
        width = min(width, int(asked))
    return Machine(width, registers, *_caches())


def _caches() -> tuple[int, int]:
    """Bytes of the first two levels of data cache: of Linux, of macOS, or what is usual."""
    found = {1: Machine.level1, 2: Machine.level2}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind, level, size = ((folder / name).read_text().strip()
                                 for name in ("type", "level", "size"))  # fmt: skip
            if kind in ("Data", "Unified") and int(level) in found and size.endswith("K"):
                found[int(level)] = int(size[:-1]) << 10
        except (OSError, ValueError):
            continue
    if sys.platform == "darwin":
        for level, name in ((1, "hw.l1dcachesize"), (2, "hw.l2cachesize")):
            command = ["sysctl", "-n", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.strip().isdigit():
                found[level] = int(done.stdout)
    return found[1], found[2]


class NativeModule:
    """Machine code of one LLVM module; keep it alive as long as its functions are called."""

    def __init__(self, ir: str) -> None:
        llvm = binding()
        with _lock:  # LLVM's context is one for all threads
            self._compile(llvm, ir)

    def _compile(self, llvm: Any, ir: str) -> None:
        module = llvm.parse_assembly(ir)
        module.verify()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=2,
        )
        # Level 0 only inlines what must be: the loop code is vectorised, unrolled and free of
        # repetition already, and level 3 was measured to gain nothing for three times the time.
        tuning = llvm.create_pipeline_tuning_options(speed_level=0)
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
        self.optimised = module
        self.machine = machine
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self.engine.get_function_address(name)

    def assembly(self) -> str:
        """The machine code as text."""
        return self.machine.emit_assembly(self.optimised)
