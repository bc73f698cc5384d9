"""A worker: waits at a scheduler for orders of `bench`, for as long as it is left running."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

from harness.cluster import guard, tasks
from harness.cluster.messages import RESOURCE

RETRY_S = 0.5
# A worker that measures keeps its hands still: no profiler that looks every 10 ms, and so on.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


def serve(
    address: str,
    me: tasks.Worker,
    *,
    security: Any = None,
    death_timeout_s: float | None = None,
    interface: str | None = None,
) -> int:
    """Work for the scheduler at `address` until SIGINT or SIGTERM; returns an exit code.

    A scheduler that goes is waited for, for `death_timeout_s` seconds or for ever. interface: the
    network's, where there are several.
    """
    import dask

    tasks.ME = me
    guard.install()
    dask.config.set(QUIET)
    logging.getLogger("distributed").setLevel(logging.ERROR)
    how = {"name": me.name, "security": security, "interface": interface}
    return asyncio.run(_serve(address, how, death_timeout_s))


async def _serve(address: str, how: dict[str, Any], death_timeout_s: float | None) -> int:
    leaving = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: a signal ends it at once
            asyncio.get_running_loop().add_signal_handler(number, leaving.set)
    seen = time.monotonic()
    while not leaving.is_set():
        if await _stay(address, how, leaving):
            seen = time.monotonic()
        elif death_timeout_s is not None and time.monotonic() - seen > death_timeout_s:
            print(f"bench: no scheduler at {address}.", file=sys.stderr)
            return 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(leaving.wait(), RETRY_S)
    return 0


async def _stay(address: str, how: dict[str, Any], leaving: asyncio.Event) -> bool:
    """Be a worker until the scheduler goes or this process is to end; False if none is there."""
    from distributed import Worker

    try:
        worker = await Worker(
            address,
            nthreads=1,
            resources={RESOURCE: 1},
            memory_limit=0,
            dashboard=False,
            death_timeout=10,
            **how,
        )
    except (OSError, TimeoutError, ValueError):
        return False
    guard.close_doors(worker)
    print(f"bench: {how['name']} waits at {address}.", file=sys.stderr)
    gone, asked = (asyncio.ensure_future(w) for w in (worker.finished(), leaving.wait()))
    await asyncio.wait((gone, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    await worker.close(timeout=10)
    return True


def end_with_parent() -> None:
    """End this process when the other side of its standard input has gone, however it went."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
