"""The commander's side of a scheduler: who works there, orders out, events in.

A connection that breaks is never mended, but made again from nothing: what was under way is then
asked for anew, which the workers' kept records make cheap and the commander's ledger harmless.
"""

import contextlib
import logging
import queue
from collections.abc import Callable
from typing import Any

from harness.cluster.messages import RESOURCE, TOPIC
from harness.safe.text import flat

CALL_S = 10.0
CONNECT_S = 5.0


class LinkBroken(Exception):
    """The scheduler does not answer any more, or is another one."""


class Link:
    """One connection to one scheduler. `events`: messages of workers, and ends of tasks."""

    def __init__(self, address: str, security: Any = None) -> None:
        """Raises: LinkBroken if nobody answers there."""
        import dask
        from distributed import Client

        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # breaks are told by us
        dask.config.set(
            {
                "distributed.comm.timeouts.connect": f"{CONNECT_S:g}s",
                "distributed.client.scheduler-info-interval": "1h",  # we ask ourselves
            }
        )
        self.events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        try:
            self._client = Client(
                address, timeout=CONNECT_S, security=security, set_as_default=False, name="bench"
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            raise LinkBroken(f"no scheduler answers at {address}: {_words(error)}.") from error
        self._client.subscribe_topic(TOPIC, lambda event: self.events.put(("message", event[1])))
        self._id = self._identity()["id"]

    def workers(self) -> dict[str, str]:
        """Address -> name of every worker with the resource. Raises: LinkBroken."""
        found = self._identity()
        if found["id"] != self._id:
            raise LinkBroken("the scheduler has been started again.")
        return {
            address: str(worker["name"])
            for address, worker in found["workers"].items()
            if worker.get("resources", {}).get(RESOURCE)
        }

    def order(
        self, task: Callable[..., Any], *arguments: Any, key: str, worker: str, measures: bool
    ) -> Any:
        """Have one worker do one task; its end is an event ("ended", key). Returns its future.

        measures: takes the worker's resource. Raises: LinkBroken.
        """
        with _breaking():
            future = self._client.submit(
                task,
                *arguments,
                key=key,
                workers=[worker],
                allow_other_workers=False,
                resources={RESOURCE: 1} if measures else None,
                retries=0,
                pure=False,
            )
        future.add_done_callback(lambda done: self.events.put(("ended", done.key)))
        return future

    def result(self, future: Any) -> Any:
        """What an ended task returned; None where it failed or was lost. Raises: LinkBroken."""
        if future.status != "finished":
            return None
        with _breaking():
            return future.result(timeout=CALL_S)

    def failure(self, future: Any) -> str:
        """Why an ended task has no result: "" where its worker or scheduler just went."""
        if future.status != "error":
            return ""
        with _breaking():
            error = future.exception(timeout=CALL_S)
        return "" if type(error).__name__ == "KilledWorker" else _words(error)

    def close(self) -> None:
        """Let go; tasks under way are withdrawn by the scheduler."""
        with contextlib.suppress(Exception):  # it may have broken in any way
            self._client.close(timeout=2)

    def _identity(self) -> dict[str, Any]:
        with _breaking():
            if self._client.status != "running":
                raise LinkBroken("the connection to the scheduler is closed.")
            scheduler: Any = self._client.scheduler
            return self._client.sync(scheduler.identity, n_workers=-1, callback_timeout=CALL_S)


@contextlib.contextmanager
def _breaking() -> Any:
    try:
        yield
    except (OSError, TimeoutError, RuntimeError, ValueError) as error:
        raise LinkBroken(_words(error)) from error


def _words(error: Any) -> str:
    return flat(error)[:200] or type(error).__name__
