"""The commander: has workers prove themselves, deals blocks out, records what comes home.

Only the ledger says what has been measured. A record is taken if it answers the order that its
block is under now, and once; whatever breaks, the block's missing trials are ordered again.
"""

import contextlib
import queue
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness.cluster import baggage, tasks
from harness.cluster.deal import Deal
from harness.cluster.link import Link, LinkBroken
from harness.cluster.messages import Answer, Order
from harness.cluster.progress import Progress
from harness.cluster.roll import Out, Roll, Station
from harness.cluster.site import Site
from harness.process.supervise import Control
from harness.records.models import Trial
from harness.records.store import Run, parse_trial
from harness.run.ledger import Ledger, writing
from harness.run.plan import Plan
from harness.run.progress import Tables
from harness.trial.runner import Block, blocks

TICK_S = 0.2
MOST_FAILURES = 3  # orders in a row that a machine did not carry out


@dataclass(frozen=True)
class Patience:
    """Seconds. look_s: between two looks at who is there. scheduler_s: for one that has gone.
    machine_s: for a machine to come back that has begun a block. nobody_s: without any machine.
    """

    look_s: float = 1.0
    scheduler_s: float = 300.0
    machine_s: float = 60.0
    nobody_s: float = 300.0


class Cluster:
    """The machines of a cluster as the crew of a run (`run.crew.Crew`)."""

    cluster = True

    def __init__(self, site: Site, patience: Patience | None = None) -> None:
        self.site = site
        self.patience = patience or Patience()
        self._address = ""  # of a site that stays open between runs

    @contextlib.contextmanager
    def stay(self) -> Iterator[None]:
        """Keep the workers that the site starts from run to run, as of a sweep."""
        with self.site.open() as self._address:
            yield
        self._address = ""

    def holding(self, *, wait: bool) -> AbstractContextManager[None]:
        """Nothing: workers hold their hosts while they measure."""
        return contextlib.nullcontext()

    def measure(
        self,
        plan: Plan,
        run: Run,
        control: Control,
        *,
        max_time_s: float | None = None,
        tables: Tables | None = None,
    ) -> str:
        """See run.crew.Crew. Raises: UsageError if no scheduler is there at the beginning."""
        ledger = Ledger(run, lean=True)
        ledger.close_interrupted()
        pending = blocks([planned for planned in run.pending() if not planned.warmup])
        if not pending:
            return ""
        deal = Deal(pending, len(plan.engines), ledger.begun())
        place = contextlib.nullcontext(self._address) if self._address else self.site.open()
        with Progress(len(pending)) as progress, place as address:
            commander = Commander(plan, ledger, deal, progress, self.patience)
            with contextlib.closing(commander):
                return commander.command(address, self.site.security, control, max_time_s)


class Commander:
    """One session of dealing blocks out."""

    def __init__(
        self, plan: Plan, ledger: Ledger, deal: Deal, progress: Progress, patience: Patience
    ) -> None:
        self.plan, self.ledger, self.deal = plan, ledger, deal
        self.progress, self.patience = progress, patience
        self.roll = Roll(plan, ledger, progress)
        self._link: Link | None = None
        self._looked = 0.0

    def command(
        self, address: str, security: Any, control: Control, max_time_s: float | None
    ) -> str:
        """Until every block is done, or a reason why not."""
        begin = self._seen_link = self._seen_machine = self._busy = time.monotonic()
        stopped = ""
        while (len(self.deal) or self.roll.ordered()) and not control.stopping:
            try:
                self._keep_in_touch(address, security)
                stopped = stopped or self._out_of_time(begin, max_time_s)
                if not stopped:
                    self._give_orders()
                elif not self.roll.ordered():
                    return stopped
                self._take_in()
            except LinkBroken as error:
                self._break(str(error))
            self._begin_anew()
            self.progress.draw()
            if given_up := self._out_of_patience(address):
                return given_up
        return stopped if len(self.deal) else ""

    def close(self) -> None:
        """Withdraw what is under way."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _keep_in_touch(self, address: str, security: Any) -> None:
        now = time.monotonic()
        if now - self._looked < self.patience.look_s:
            return
        self._looked = now
        if self._link is None:
            self._link = Link(address, security)
        for station, worker in self.roll.look(self._link):
            self._lose(station, worker)
        self._seen_link = now
        if self.roll.present():
            self._seen_machine = now

    # orders out

    def _give_orders(self) -> None:
        for station in self.roll.stations.values():
            if station.order is not None or not station.workers:
                continue
            block = station.warmups.pop(0) if station.warmups else self.deal.take(station.id)
            if block is not None:
                self._order(station, block)

    def _order(self, station: Station, block: Block) -> None:
        assert self._link is not None
        ticket, worker = secrets.token_hex(16), station.workers[0]
        order = Order(run=station.run, ticket=ticket, trials=list(block.trials))
        station.order = Out(ticket, block, worker, None)
        station.order.future = self._link.order(
            tasks.carry_out,
            order.model_dump_json(),
            key=f"bench-{ticket}",
            worker=worker,
            measures=True,
        )

    # records in

    def _take_in(self) -> None:
        """What has come, all of it in one go; waits a moment if there is nothing."""
        assert self._link is not None
        by_ticket = {s.order.ticket: s for s in self.roll.ordered() if s.order is not None}
        records: list[tuple[Station, Trial]] = []
        ended = []
        for kind, content in self._events(self._link.events):
            if kind == "ended":
                ended.append(content)
            elif (station := by_ticket.get(content.get("ticket"))) is not None:
                self._message(station, content, records)
        self.ledger.write(*(trial for _, trial in records))
        for station, trial in records:
            if trial.state == "started":
                self.progress.started(station.id, trial)
            elif trial.state == "finished":
                self.progress.finished(station.id, trial)
        for key in ended:
            if key in self.roll.asked:
                self.roll.answered(self._link, key)
                if self.roll.present():
                    self._seen_machine = time.monotonic()
            elif (station := by_ticket.get(key.removeprefix("bench-"))) is not None:
                self._ended(station)

    @staticmethod
    def _events(inbox: "queue.SimpleQueue[tuple[str, Any]]") -> Iterator[tuple[str, Any]]:
        with contextlib.suppress(queue.Empty):
            yield inbox.get(timeout=TICK_S)
            while True:
                yield inbox.get_nowait()

    def _message(
        self, station: Station, content: dict[str, Any], records: list[tuple[Station, Trial]]
    ) -> None:
        assert station.order is not None
        try:
            if "answer" in content:
                station.order.answer = Answer.model_validate_json(content["answer"])
                return
            trial = parse_trial(content["trial"].encode())
            if all(trial.id != planned.id for planned in station.order.block.trials):
                raise ValueError(f"trial '{trial.id}' was not ordered.")
            trial.machine = station.id
            if self._has(station, trial, records):
                return  # it had come home already
            with writing(self.ledger.run.folder):
                folder = self.ledger.run.trial_folder(trial)
                baggage.unpack(content.get("files", {}), folder)
        except (ValueError, KeyError, AttributeError) as error:
            self.progress.say(f"bench: machine {station.id} sent no record: {error}", "red")
            return
        records.append((station, trial))

    def _has(self, station: Station, trial: Trial, records: list[tuple[Station, Trial]]) -> bool:
        waiting = any(t.key == trial.key and t.state == "finished" for _, t in records)
        return waiting or self.ledger.state(trial, station.id) == "finished"

    def _ended(self, station: Station) -> None:
        out, station.order = station.order, None
        assert out is not None
        assert self._link is not None
        self._busy = time.monotonic()
        left = self._left(station, out.block)
        if not left:
            station.failures = 0
            self.progress.block_done(station.id, warmup=out.block.warmup)
            return
        if len(left.trials) < len(out.block.trials):
            station.failures = 0
        self._put_back(station, out.block)
        failure = out.answer.failure if out.answer is not None else self._link.failure(out.future)
        station.failures += bool(failure)
        if station.failures >= MOST_FAILURES:
            for worker in station.workers:
                self.roll.refuse(worker, failure)
            station.workers.clear()

    def _left(self, station: Station, block: Block) -> Block | None:
        left = tuple(p for p in block.trials if self.ledger.state(p, station.id) != "finished")
        return Block(left) if left else None

    def _put_back(self, station: Station, block: Block) -> None:
        left = self._left(station, block)
        if left is None:
            return
        if block.warmup:
            station.warmups.insert(0, left)
        else:
            begun = self.ledger.begun_on(block.number)
            self.deal.give_back(left, begun or station.id, bound=bool(begun))

    # what breaks

    def _lose(self, station: Station, worker: str) -> None:
        """A worker has gone; what it was doing is ordered anew."""
        station.workers.remove(worker)
        out = station.order
        if out is not None and out.worker == worker:
            station.order = None
            self._busy = time.monotonic()
            self._put_back(station, out.block)
        if not station.workers:
            self.progress.away(station.id)

    def _break(self, why: str) -> None:
        """The connection has broken: nothing that was under way will be heard of."""
        if self._link is not None:
            with contextlib.suppress(LinkBroken):
                self._take_in()  # what had come before
            self.progress.say(f"bench: {why} Trying again.")
            self.close()
        for station in self.roll.stations.values():
            out, station.order = station.order, None
            if out is not None:
                self._put_back(station, out.block)
        self.roll.forget()
        self._busy = time.monotonic()
        self._looked = 0.0
        time.sleep(TICK_S)

    def _begin_anew(self) -> None:
        """Blocks whose machine stays away, once there is nothing else to do."""
        present = self.roll.present()
        if self.roll.ordered() or not present or not self.deal.strands(present):
            return
        if time.monotonic() - self._busy < self.patience.machine_s:
            return
        whole = {b.number: b for b in blocks(self.plan.manifest.schedule) if not b.warmup}
        for number in self.deal.stranded(present):
            self.progress.say(f"bench: block {number + 1} begins anew: its machine is away.")
            self.ledger.withdraw(number)
            self.deal.give_back(whole[number])

    def _out_of_patience(self, address: str) -> str:
        now = time.monotonic()
        if now - self._seen_link > self.patience.scheduler_s:
            return f"no scheduler answers at {address}"
        idle = not self.roll.ordered() and not self.roll.asked
        if now - self._seen_machine > self.patience.nobody_s and idle:
            told = "; ".join(f"{worker}: {why}" for worker, why in self.roll.refused.items())
            return f"no machine takes part{f' ({told})' if told else ''}"
        return ""

    def _out_of_time(self, begin: float, max_time_s: float | None) -> str:
        if max_time_s is None:
            return ""
        expected = time.monotonic() - begin + (self.progress.block_s() or 0.0)
        if expected <= max_time_s:
            return ""
        return f"--max-time {max_time_s:g} s leaves no time for another block"
