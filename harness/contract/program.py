"""An engine as a program: its command line, its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from harness.contract.job import ContractError, Job, UnknownProtocol
from harness.contract.report import Report

EXIT_USAGE = 2
EXIT_UNSUPPORTED = 69  # sysexits.h, EX_UNAVAILABLE: "this engine cannot run that workload"


class Unsupported(Exception):
    """Raised by an engine for a workload it cannot run; the message names the layer or setting."""


def run_engine(
    *,
    train: Callable[[Job, Report], None],
    test: Callable[[Job, Report], None],
    argv: list[str] | None = None,
    protocol: int = 1,
) -> None:
    """Do what the command line asks for: `train --job JOB.json` or `test --job JOB.json`.

    Exits 2 on wrong usage or a bad job and EXIT_UNSUPPORTED where the engine raises Unsupported or
    the job's protocol is above `protocol`, the highest that the engine's author has read about; any
    other exception is left to Python, which prints it and exits 1.
    """
    arguments = sys.argv[1:] if argv is None else argv
    steps = {"train": train, "test": test}
    if len(arguments) != 3 or arguments[0] not in steps or arguments[1] != "--job":
        _leave("usage: train --job JOB.json | test --job JOB.json", EXIT_USAGE)
    try:
        job = Job.read(arguments[2], protocol)
        if job.phase != arguments[0]:
            raise ContractError(f"job: asked to {arguments[0]}, but the job says '{job.phase}'.")
    except UnknownProtocol as error:
        _leave(f"unsupported: {error}", EXIT_UNSUPPORTED)
    except ContractError as error:
        _leave(str(error), EXIT_USAGE)
    try:
        steps[job.phase](job, Report(job.report, job.nonce))
    except Unsupported as error:
        _leave(f"unsupported: {error}", EXIT_UNSUPPORTED)


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(code)
