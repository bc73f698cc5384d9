"""Which engines of a run know what its workload asks for."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.errors import UsageError
from harness.process.supervise import Control
from harness.run.plan import Plan
from harness.safe.text import say
from harness.verify.checks import Check
from harness.verify.jobs import LONGEST_S, Jobs, NoResult
from harness.workload.rates import needs_protocol_2

BATCHES = 2  # of the job that is tried; its second rate differs from the first


def older(plan: Plan, control: Control) -> set[str]:
    """The engines that speak protocol 1 only, where the workload needs 2: told of, one line each.

    An engine says so itself, by refusing a job of some batches; one that fails otherwise is left to
    the run, which records that. Raises: UsageError if no engine is left; Interrupted
    where `control` was asked to stop.
    """
    training = plan.workload["training"]
    if "target" not in plan.workload and not needs_protocol_2(training):
        return set()
    told = {}
    check = Check("protocol", BATCHES, 1, "")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        jobs = Jobs(
            plan.workload,
            plan.dataset,
            Path(folder),
            plan.manifest.threads,
            timeout_s=min(plan.manifest.timeout_s or LONGEST_S, LONGEST_S),
            sandboxed=plan.manifest.sandbox is not None,
            control=control,
        )
        for engine in plan.engines:
            try:
                jobs.train(engine, check, training["dtype"])
            except NoResult as error:
                if "protocol" in str(error) or "checkpoints: 0 of" in str(error):
                    told[engine.name] = str(error)
    has_target = "target" in plan.workload
    needed = "a target needs" if has_target else "these training settings need"
    for name in told:
        say(f"engine '{name}' is left out: it speaks protocol 1, and {needed} 2.")
    if len(told) == len(plan.engines):
        raise UsageError(f"no engine is left: {needed} one that speaks protocol 2.")
    return set(told)
