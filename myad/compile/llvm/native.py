"""Compiles LLVM IR for this computer's processor with llvmlite, and loads the object code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from myad.compile.identity import identity
from myad.compile.llvm import elf
from myad.compile.schedule.layout import Machine
from myad.compile.store import store
from myad.errors import CompileError

_lock = threading.Lock()


class Processor(NamedTuple):
    """What LLVM calls this computer's processor, and its features as LLVM's options."""

    name: str
    features: str

    def has(self, feature: str) -> bool:
        """Whether it has a feature."""
        return f"+{feature}" in self.features.split(",")


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
def processor() -> Processor:
    """This computer's, from the cache on disk if LLVM was asked before."""
    kept = store()
    key = identity("processor") if kept else None
    if kept and key and (found := kept.read(key)):
        return Processor(*json.loads(found))
    llvm = binding()
    result = Processor(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    if kept and key:
        kept.write(key, json.dumps(result).encode())
    return result


@cache
def host() -> Machine:
    """Vector width and registers of this processor, asked of LLVM; its caches, of the system.

    The variable MYAD_VECTOR_BYTES (16, 32 or 64) narrows the vectors, to try other machines' code.
    """
    if processor().has("avx512f"):
        width, registers = 64, 32
    elif processor().has("avx"):
        width, registers = 32, 16
    else:  # NEON has 32 registers of 16 bytes, SSE 16
        width, registers = 16, 32 if processor().has("neon") else 16
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
                found[int(level)] = max(0, int(size[:-1])) << 10 or found[int(level)]
        except (OSError, ValueError):
            continue
    if sys.platform == "darwin":
        for level, name in ((1, "hw.l1dcachesize"), (2, "hw.l2cachesize")):
            command = ["sysctl", "-n", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.strip().isdigit():
                found[level] = int(done.stdout) or found[level]
    return found[1], found[2]


def object_code(ir: str) -> bytes:
    """The object file of one LLVM module."""
    with _lock:  # LLVM's context is one for all threads
        module, machine = _optimised(binding(), ir)
        code: bytes = machine.emit_object(module)
        return code


def assembly(ir: str) -> str:
    """The machine code of one LLVM module as text."""
    with _lock:
        module, machine = _optimised(binding(), ir)
        return str(machine.emit_assembly(module))


def _optimised(llvm: Any, ir: str) -> tuple[Any, Any]:
    module = llvm.parse_assembly(ir)
    module.verify()
    # Relative addresses, where our own loader takes the code; elsewhere what LLVM's loader wants.
    model = {"reloc": "pic", "codemodel": "small"} if elf.is_supported() else {}
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=processor().name, features=processor().features, opt=2, **model
    )
    # Level 0 only inlines what must be: the loop code is vectorised, unrolled and free of
    # repetition already, and level 3 was measured to gain nothing for three times the time.
    tuning = llvm.create_pipeline_tuning_options(speed_level=0)
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return module, machine


class NativeModule:
    """Object code in memory; keep it alive as long as its functions are called.

    Args: is_fresh: whether it was made in this process. What our own loader refuses is then given
        to LLVM's, which ends the process if it finds something wrong.
    Raises: Unloadable; CompileError where LLVM is needed and missing.
    """

    def __init__(self, code: bytes, is_fresh: bool = True) -> None:
        try:
            self._loaded: Any = elf.Code(code)
        except elf.Unloadable:
            if elf.is_supported() and not is_fresh:
                raise
            self._loaded = _loaded_by_llvm(code)

    def address(self, name: str) -> int:
        """The address of a function."""
        found = getattr(self._loaded, "address", None) or self._loaded.get_function_address
        return int(found(name))


def _loaded_by_llvm(code: bytes) -> Any:
    llvm = binding()
    with _lock:
        machine = llvm.Target.from_default_triple().create_target_machine()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
    return engine
