"""For Dask's own programs: `dask worker --resources bench=1 --preload harness.cluster.preload`.

The worker then takes orders of bench alone, and a scheduler so started forwards nothing else. What
`bench worker` has options for comes from $BENCH_COMMANDS (a line each) and $BENCH_ENGINE_PATH.
"""

import os
from pathlib import Path
from typing import Any

from harness.cluster import guard, tasks

COMMANDS, ENGINE_PATHS = "BENCH_COMMANDS", "BENCH_ENGINE_PATH"


def dask_setup(server: Any) -> None:
    """Called by Dask with its worker or scheduler."""
    from distributed import Scheduler

    if isinstance(server, Scheduler):
        guard.install(scheduler=True)
        return
    paths = os.environ.get(ENGINE_PATHS, "")
    tasks.ME = tasks.Worker(
        name=str(server.name),
        commands=tuple(filter(None, os.environ.get(COMMANDS, "").splitlines())),
        engine_paths=tuple(map(Path, filter(None, paths.split(os.pathsep)))),
    )
    guard.install()
    guard.close_doors(server)
