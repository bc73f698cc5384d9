"""Preloaded into a scheduler that a run has started: it ends with the run, however that ends."""

from typing import Any

from harness.cluster.worker import end_with_parent


def dask_setup(server: Any) -> None:
    """Called by Dask with its scheduler."""
    end_with_parent()
