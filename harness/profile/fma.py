"""The fastest arithmetic there is: multiply-adds that wait for nothing, compiled for this host.

Twelve sums in registers, so that no product waits for the one before it, as wide as the processor's
vectors. NumPy's BLAS stays below it, sometimes far below.
"""

from __future__ import annotations

import ctypes
import time

TURNS = 2_000_000
SUMS = 12  # the latency of a multiply-add is four cycles or five, and two begin in each
TYPES = {"float32": ("float", 4, "f32"), "float64": ("double", 8, "f64")}


def flop_per_s(dtype: str, times: int) -> float:
    """Of the best of some loops, on one core. Raises: OSError, ImportError, RuntimeError where
    llvmlite does not work."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    width = 64 if features.get("avx512f") else 32 if features.get("fma") else 16
    lanes = width // TYPES[dtype][1]
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=2
    )
    module = llvm.parse_assembly(_source(dtype, lanes))
    module.verify()
    with llvm.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        loop = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(
            engine.get_function_address("loop")
        )
        best = float("inf")
        for _ in range(times):
            start = time.perf_counter()
            loop(TURNS)
            best = min(best, time.perf_counter() - start)
    return 2 * lanes * SUMS * TURNS / best


def _source(dtype: str, lanes: int) -> str:
    """LLVM IR: `loop(turns)`, which gives a number made of all sums so that none is left out."""
    scalar, _, suffix = TYPES[dtype]
    kind = f"<{lanes} x {scalar}>"
    fma = f"@llvm.fma.v{lanes}{suffix}"
    half = f"<{', '.join([f'{scalar} 0.5'] * lanes)}>"
    lines = [
        f"declare {kind} {fma}({kind}, {kind}, {kind})",
        "define double @loop(i64 %turns) {",
        "entry:",
        " br label %turn",
        "turn:",
        " %n = phi i64 [0, %entry], [%next, %turn]",
    ]
    for k in range(SUMS):
        lines.append(f" %s{k} = phi {kind} [zeroinitializer, %entry], [%t{k}, %turn]")
    for k in range(SUMS):
        lines.append(f" %t{k} = call {kind} {fma}({kind} %s{k}, {kind} {half}, {kind} {half})")
    lines += [
        " %next = add i64 %n, 1",
        " %go = icmp ult i64 %next, %turns",
        " br i1 %go, label %turn, label %done",
        "done:",
    ]
    whole = "%t0"
    for k in range(1, SUMS):
        lines.append(f" %u{k} = fadd {kind} {whole}, %t{k}")
        whole = f"%u{k}"
    lines.append(f" %one = extractelement {kind} {whole}, i32 0")
    if scalar == "float":
        lines.append(" %wide = fpext float %one to double")
    return "\n".join([*lines, f" ret double {'%wide' if scalar == 'float' else '%one'}", "}"])
