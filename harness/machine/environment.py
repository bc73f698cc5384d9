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
    "PYTHON",
    "LD_PRELOAD",
    "LD_AUDIT",
    "DYLD_INSERT",
    "COVERAGE_",
    "PYTEST_",
    "MYAD_CACHE",  # where compiled code is kept: the engine's own folder, like the rivals'
)
# They change speed or results; kept, and written into the manifest.
RECORDED_PREFIXES = (
    "LD_LIBRARY_PATH",
    "MALLOC_",
    "GLIBC_TUNABLES",
    "OMP_",
    "KMP_",
    "GOMP_",
    "OPENBLAS_",
    "MKL_",
    "TF_",
    "XLA_",
    "JAX_",
    "TORCH_",
    "KERAS_",
    "CUDA_",
)


def engine_environment(
    cache: Path, *, threads: int, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables an engine gets.

    Args:
        cache: the engine's own cache folder.
        threads: how many threads it may compute with.
        base: the environment to start from, that of this process by default.
    """
    start = os.environ if base is None else base
    kept = {key: value for key, value in start.items() if not key.startswith(SCRUBBED_PREFIXES)}
    kept.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    kept.update(dict.fromkeys(CACHE_VARIABLES, str(cache)))
    kept["PYTHONHASHSEED"] = "0"  # the order of sets is the same in every trial
    return kept


# The same prefixes in another program's name: Terraform's settings hold paths and no speed.
FOREIGN_PREFIXES = ("TF_CLI_", "TF_VAR_", "TF_LOG")


def recorded_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of the user that may change speed, and those that were scrubbed, marked so."""
    start = os.environ if base is None else base
    noted = {
        key: value
        for key, value in start.items()
        if key.startswith(RECORDED_PREFIXES) and not key.startswith(FOREIGN_PREFIXES)
    }
    scrubbed = {k: "(scrubbed)" for k in start if k.startswith(SCRUBBED_PREFIXES)}
    return dict(sorted({**noted, **scrubbed}.items()))
