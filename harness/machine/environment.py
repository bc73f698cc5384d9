"""The environment in which an engine runs: what is removed, what is set, what is recorded."""

import os
from collections.abc import Mapping
from pathlib import Path

# One thread pool per library, and every one of them has its own variable.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "RAYON_NUM_THREADS",
)
# Compile caches: every engine gets a folder of its own, emptied before each trial by --cold.
# (JAX_COMPILATION_CACHE_DIR is left alone: setting it would switch on a cache that is off.)
CACHE_VARIABLES = (
    "XDG_CACHE_HOME",
    "NUMBA_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "CUDA_CACHE_PATH",
)
# They change what Python or the loader runs; an engine must not depend on who starts it.
SCRUBBED_PREFIXES = (
    "PYTHON", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT", "COVERAGE_", "PYTEST_",
    "MYAD_CACHE",  # where compiled code is kept: the engine's own folder, like the rivals'
)  # fmt: skip
# They change speed or results: kept, and written into the manifest, which people publish. Each by
# its whole name: behind a prefix may be anybody's secret (Terraform's are called TF_TOKEN_...).
RECORDED = frozenset((
    "GLIBC_TUNABLES", "LD_BIND_NOW", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST",
    "MALLOC_CONF", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_PERTURB_",
    "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_", "OMP_CANCELLATION", "OMP_DYNAMIC",
    "OMP_MAX_ACTIVE_LEVELS", "OMP_NESTED", "OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND",
    "OMP_SCHEDULE", "OMP_STACKSIZE", "OMP_THREAD_LIMIT", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY",
    "GOMP_SPINCOUNT", "GOMP_STACKSIZE", "KMP_AFFINITY", "KMP_BLOCKTIME", "KMP_DUPLICATE_LIB_OK",
    "KMP_HW_SUBSET", "KMP_LIBRARY", "KMP_SETTINGS", "OPENBLAS_CORETYPE", "OPENBLAS_MAIN_FREE",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT", "BLIS_ARCH_TYPE", "BLIS_NUM_THREADS",
    "MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS",
    "MKL_INTERFACE_LAYER", "MKL_NUM_THREADS", "MKL_THREADING_LAYER", "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES",
    "TF_CPP_MIN_LOG_LEVEL", "TF_CUDNN_USE_AUTOTUNE", "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS", "TF_ENABLE_XLA", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_THREAD_MODE",
    "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS",
    "XLA_FLAGS", "XLA_PYTHON_CLIENT_ALLOCATOR", "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE", "JAX_COMPILATION_CACHE_DIR", "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DISABLE_JIT", "JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES", "JAX_PLATFORMS", "KERAS_BACKEND",
    "TORCH_COMPILE_DISABLE", "TORCH_CPP_LOG_LEVEL", "TORCH_LOGS", "TORCH_SHOW_CPP_STACKTRACES",
    "ATEN_CPU_CAPABILITY", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_VISIBLE_DEVICES",
))  # fmt: skip
# Of what was removed, the names that are known; their values are nobody's business.
NOTED = frozenset((
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONHASHSEED", "PYTHONOPTIMIZE",
    "PYTHONMALLOC", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONWARNINGS",
    "PYTHONDEVMODE", "PYTHONFAULTHANDLER", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES",
    "MYAD_CACHE",
))  # fmt: skip
# What an engine in a sandbox needs beside those: a secret that it never got cannot be given away.
SANDBOXED = frozenset(["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"])


def engine_environment(
    cache: Path,
    *,
    threads: int,
    sandboxed: bool = False,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables an engine gets.

    Args:
        cache: the engine's own cache folder.
        threads: how many threads it may compute with.
        sandboxed: it gets no other variables than those that are recorded or needed to start.
        base: the environment to start from, that of this process by default.
    """
    start = os.environ if base is None else base
    kept = {key: value for key, value in start.items() if not key.startswith(SCRUBBED_PREFIXES)}
    if sandboxed:
        kept = {key: value for key, value in kept.items() if key in RECORDED | SANDBOXED}
        kept["HOME"] = str(cache)
    kept.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    kept.update(dict.fromkeys(CACHE_VARIABLES, str(cache)))
    kept["PYTHONHASHSEED"] = "0"  # the order of sets is the same in every trial
    return kept


def recorded_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of the user that may change speed, and those that were scrubbed, marked so."""
    start = os.environ if base is None else base
    noted = {key: value for key, value in start.items() if key in RECORDED}
    scrubbed = {key: "(scrubbed)" for key in start if key in NOTED}
    return dict(sorted({**noted, **scrubbed}.items()))
