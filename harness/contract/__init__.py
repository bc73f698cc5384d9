"""What an engine and the harness both speak: the job, the report, the two processes of a trial.

An engine is started as `… train --job JOB.json` and, later, `… test --job JOB.json`. A Python
engine imports what it needs from here, and from nowhere else in the harness; any other program
reads the same JSON and appends the same lines (docs/engines.md). This room uses the standard
library only, and little of it: every engine pays for its import.
"""

from harness.contract.job import PROTOCOL, ContractError, Job, Layer, Model, Training, Workload
from harness.contract.program import EXIT_UNSUPPORTED, EXIT_USAGE, Unsupported, run_engine
from harness.contract.report import PHASES, Report
from harness.contract.skeleton import Skeleton

__all__ = [
    "EXIT_UNSUPPORTED",
    "EXIT_USAGE",
    "PHASES",
    "PROTOCOL",
    "ContractError",
    "Job",
    "Layer",
    "Model",
    "Report",
    "Skeleton",
    "Training",
    "Unsupported",
    "Workload",
    "run_engine",
]
