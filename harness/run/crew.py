"""Who carries out the blocks of a run: this machine (`Here`), or others behind the same seam."""

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from harness.machine import host
from harness.machine.lock import measuring
from harness.process.supervise import Control
from harness.records.store import Run
from harness.run.ledger import Ledger, writing
from harness.run.plan import Plan
from harness.run.progress import Display, Tables
from harness.run.rule import over
from harness.trial.runner import Block, LocalRunner, Runner, blocks


class Crew(Protocol):
    """Who carries out the blocks of a run: this machine (`Here`), or those of a cluster."""

    cluster: bool

    def holding(self, *, wait: bool) -> AbstractContextManager[None]:
        """What is held from before the plan is made until the last block is done."""
        ...

    def measure(
        self,
        plan: Plan,
        run: Run,
        control: Control,
        *,
        max_time_s: float | None = None,
        tables: Tables | None = None,
    ) -> str:
        """Record what is pending of the schedule; why it ended early, or "".

        Raises: StorageError.
        """
        ...


class Here:
    """Blocks run on this machine, one after the other, and nothing else measures meanwhile."""

    cluster = False

    def holding(self, *, wait: bool) -> AbstractContextManager[None]:
        """The host's lock."""
        return measuring(wait=wait)

    def measure(
        self,
        plan: Plan,
        run: Run,
        control: Control,
        *,
        max_time_s: float | None = None,
        tables: Tables | None = None,
    ) -> str:
        """See Crew. A cluster's run goes on here as on one more machine."""
        bench = replace(plan.bench(run.folder), control=control)
        machine = host.fingerprint(host.host()) if run.manifest.cluster else ""
        ledger = Ledger(run)
        ledger.close_interrupted()
        _join(ledger, machine)
        pending = run.pending(machine)
        with Display(run, pending, tables=tables) as display:
            bench.on_tick = display.tick
            begin, runner = time.monotonic(), LocalRunner(bench)
            for place, block in enumerate(blocks(pending)):
                stopped = ""
                if place and not block.warmup:
                    stopped = _out_of_time(display, begin, max_time_s)
                if stopped or control.stopping:
                    return stopped
                if not block.warmup and _is_over(ledger, block.number):
                    break
                _run_block(runner, ledger, block, machine, display)
        if not run.pending():
            _is_over(ledger, run.blocks)
        return ""


def _is_over(ledger: Ledger, blocks: int) -> bool:
    """Whether the run ends by its rule, now that it has so many blocks; if so, it is recorded."""
    reason = over(ledger.run, blocks)
    if reason:
        ledger.end(blocks, reason)
    return bool(reason)


def _join(ledger: Ledger, machine: str) -> None:
    """In a cluster's run: tell of this machine, and begin anew what another one has begun."""
    if not machine:
        return
    ledger.joined(host.machine_record("local"))
    for block, begun_on in ledger.begun().items():
        if begun_on != machine:
            ledger.withdraw(block)


def _run_block(
    runner: Runner, ledger: Ledger, block: Block, machine: str, display: Display
) -> None:
    with writing(ledger.run.folder):
        for trial in runner.run(block):
            trial.machine = machine
            ledger.write(trial)
            if trial.state == "started":
                display.started(trial)
            elif trial.state == "finished":
                display.finished(trial)


def _out_of_time(display: Display, begin: float, max_time_s: float | None) -> str:
    """Why the run ends between two blocks; empty if it goes on."""
    if max_time_s is None:
        return ""
    expected = time.monotonic() - begin + (display.clock.block_s() or 0.0)
    if expected <= max_time_s:
        return ""
    return f"--max-time {max_time_s:g} s leaves no time for another block"
