"""Workers as jobs of a SLURM queue, by dask-jobqueue."""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from harness.cluster.needs import needs
from harness.errors import UsageError

WORKER_KEYS = {"commands", "engine_paths"}
DEATH_TIMEOUT_S = 120  # of a job whose scheduler has gone with its commander


def _slurm_options() -> set[str]:
    """Names of what a job of dask-jobqueue can be given, less what is decided here."""
    from dask_jobqueue.core import Job
    from dask_jobqueue.slurm import SLURMJob

    found = {
        name
        for kind in (Job, SLURMJob)
        for name, one in signature(kind.__init__).parameters.items()
        if one.kind is not one.VAR_KEYWORD
    }
    decided = {"self", "scheduler", "name", "security", "worker_command", "worker_extra_args"}
    return found - decided - {"extra", "nanny"} | {"scheduler_options"}


class Slurm:
    """Workers as jobs of a SLURM queue, by dask-jobqueue; the scheduler is in this process.

    options: the tables of the file: `slurm` (as of dask_jobqueue.SLURMCluster, and `jobs`: how
    many) and `worker` (commands, engine_paths on the nodes).
    """

    def __init__(
        self,
        options: dict[str, Any],
        security: Any,
        commands: Sequence[str],
        engine_paths: Sequence[Path],
    ) -> None:
        needs("dask_jobqueue")
        self.security = security
        self._slurm = dict(options.get("slurm", {}))
        self._jobs = self._slurm.pop("jobs", 1)
        if strange := set(self._slurm) - _slurm_options():
            raise UsageError(
                f"[slurm] {', '.join(sorted(strange))}: no such option; allowed: jobs, "
                f"{', '.join(sorted(_slurm_options()))}."
            )
        worker = options.get("worker", {})
        if not isinstance(worker, dict) or set(worker) - WORKER_KEYS:
            raise UsageError(f"[worker]: allowed: {', '.join(sorted(WORKER_KEYS))}.")
        self._commands = [*commands, *worker.get("commands", [])]
        self._paths = [*map(str, engine_paths), *worker.get("engine_paths", [])]

    def cluster(self) -> Any:
        """The cluster before any job of it. Raises: UsageError for an option that it refuses."""
        from dask_jobqueue import SLURMCluster

        try:
            settings = self._settings()
            scheduler = {"dashboard_address": ":0", **settings.pop("scheduler_options", {})}
            return SLURMCluster(security=self.security, scheduler_options=scheduler, **settings)
        except (TypeError, ValueError) as error:
            raise UsageError(f"[slurm]: {' '.join(str(error).split())}.") from error

    def job(self, scheduler: str) -> str:
        """The script of one job, for a scheduler's address."""
        from dask_jobqueue.slurm import SLURMJob

        settings = self._settings()
        settings.pop("scheduler_options", None)
        return SLURMJob(scheduler, name="0", security=self.security, **settings).job_script()

    def _settings(self) -> dict[str, Any]:
        defaults = {"cores": 1, "memory": "4GB", "processes": 1, "death_timeout": DEATH_TIMEOUT_S}
        return {
            **defaults,
            "python": sys.executable,
            **self._slurm,
            "worker_command": "harness.cli worker",
            "worker_extra_args": self._arguments(),
        }

    def _arguments(self) -> list[str]:
        found = []
        for text in self._commands:
            found += ["--command", shlex.quote(text)]
        for path in self._paths:
            found += ["--engine-path", shlex.quote(path)]
        return found

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """See Site."""
        with self.cluster() as cluster:
            cluster.scale(jobs=self._jobs)
            yield cluster.scheduler_address
