"""Who takes part: workers are asked to prove themselves, get data sets, are refused by name."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from harness.cluster import tasks
from harness.cluster.link import Link
from harness.cluster.messages import Answer, Proof, Question, project
from harness.cluster.progress import Progress
from harness.data.cache import ARRAYS
from harness.data.load import load
from harness.run.ledger import Ledger
from harness.run.plan import Plan
from harness.trial.runner import Block, blocks


@dataclass
class Station:
    """A machine that takes part. workers: addresses on it; one of them works at a time."""

    id: str
    run: str
    warmups: list[Block]
    workers: list[str] = field(default_factory=list)
    order: "Out | None" = None
    failures: int = 0


@dataclass
class Out:
    """An order under way."""

    ticket: str
    block: Block
    worker: str
    future: Any
    answer: Answer | None = None


class Roll:
    """The machines of a run and their workers.

    stations: by fingerprint, of every machine that has taken part. refused: address of a worker ->
    why. asked: key of a question under way -> address, future.
    """

    def __init__(self, plan: Plan, ledger: Ledger, progress: Progress) -> None:
        self._ledger, self._progress = ledger, progress
        self._question = Question(project=project(), manifest=plan.manifest).model_dump_json()
        self.stations: dict[str, Station] = {}
        self.refused: dict[str, str] = {}
        self.asked: dict[str, tuple[str, Any]] = {}
        self._known: set[str] = set()  # addresses that were asked

    def present(self) -> set[str]:
        """Machines that have a worker now."""
        return {station.id for station in self.stations.values() if station.workers}

    def ordered(self) -> list[Station]:
        """Machines that are at work."""
        return [station for station in self.stations.values() if station.order is not None]

    def look(self, link: Link) -> list[tuple[Station, str]]:
        """Ask workers that are new; returns those that have gone. Raises: LinkBroken."""
        here = link.workers()
        gone = [
            (station, worker)
            for station in self.stations.values()
            for worker in station.workers
            if worker not in here
        ]
        self._known &= here.keys()
        for worker in here.keys() - self._known:
            self._ask(link, worker)
        return gone

    def forget(self) -> None:
        """The connection is a new one: nobody is there, and everybody is to be asked again."""
        self.asked.clear()
        self._known.clear()
        for station in self.stations.values():
            station.workers.clear()

    def _ask(self, link: Link, worker: str) -> None:
        self._known.add(worker)
        self._put(link, worker, tasks.prove, self._question)

    def _put(self, link: Link, worker: str, task: Any, *arguments: Any) -> None:
        key = f"bench-ask-{secrets.token_hex(8)}"
        future = link.order(task, *arguments, key=key, worker=worker, measures=False)
        self.asked[key] = worker, future

    def answered(self, link: Link, key: str) -> None:
        """A worker has answered a question, or taken a data set. Raises: LinkBroken."""
        worker, future = self.asked.pop(key)
        text = link.result(future)
        if text is None:
            failure = link.failure(future)
            if failure:
                self.refuse(worker, failure)
            else:
                self._known.discard(worker)  # if it is there still, it is asked again
            return
        try:
            proof = Proof.model_validate_json(text)
        except ValueError:  # the answer to a data set: ask again whether all is well now
            answer = Answer.model_validate_json(text)
            if answer.failure:
                self.refuse(worker, answer.failure)
            else:
                self._ask(link, worker)
            return
        if proof.missing:
            self._send_data(link, worker, proof.missing)
        elif proof.machine is None or proof.refused:
            self.refuse(worker, proof.refused or "it does not say which machine it is.")
        else:
            self._take(worker, proof)

    def _send_data(self, link: Link, worker: str, name: str) -> None:
        dataset = load(name)
        self._progress.say(f"bench: sending data set '{name}' to {worker}.")
        arrays = [dataset.paths[key].read_bytes() for key in ARRAYS]
        self._put(link, worker, tasks.take_data, name, dataset.classes, *arrays)

    def refuse(self, worker: str, why: str) -> None:
        """A worker takes no part, and why is told."""
        self.refused[worker] = why
        self._progress.say(f"bench: worker {worker} is refused: {why}", "red")

    def _take(self, worker: str, proof: Proof) -> None:
        assert proof.machine is not None
        machine = proof.machine
        self._ledger.joined(machine)
        self._progress.joined(machine.id, machine.name)
        if machine.id not in self.stations:
            pending = self._ledger.run.pending(machine.id)
            warmups = blocks([planned for planned in pending if planned.warmup])
            self.stations[machine.id] = Station(machine.id, proof.run, warmups)
        station = self.stations[machine.id]
        if worker not in station.workers:
            station.workers.append(worker)
