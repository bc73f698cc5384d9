"""A cluster without Dask: machines that exist in this process, and fall over when told to."""

import contextlib
import queue
from dataclasses import dataclass, field

import numpy as np
import pytest

from harness.cluster import commander, tasks
from harness.cluster.commander import Cluster, Patience
from harness.cluster.link import LinkBroken
from harness.machine.host import machine_record
from harness.records.models import ProcessResult
from harness.run import loop
from harness.trial.trial import record
from tests.fakes.steady_worker import steady

NOW = Patience(look_s=0.0, scheduler_s=60.0, machine_s=0.05, nobody_s=0.5)


class Instant:
    """A runner without processes: records with the figures of `steady`, and predictions."""

    def __init__(self, bench):
        self.bench = bench

    def run(self, block):
        for planned in block.trials:
            yield record(planned, "started")
            trial = record(planned, "finished")
            trial.train = trial.test = ProcessResult(outcome="ok", phases={"train": 1, "test": 1})
            trial.accuracy, trial.correct, trial.test_count, trial.valid = 0.5, 10, 20, True
            folder = self.bench.folder / "trials" / planned.id / "test"
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / "predictions.npy", np.full(20, planned.seed % 10, np.uint8))
            yield steady(trial)


@dataclass
class Done:
    """As Dask's future of a task that has ended."""

    status: str = "finished"
    value: object = None


@dataclass
class Node:
    """A worker. dies_after: messages of an order that come home before it goes; -1 for never.
    returns: whether it is there again at the next look."""

    name: str
    worker: tasks.Worker
    dies_after: int = -1
    returns: bool = False
    orders: list[str] = field(default_factory=list)


@dataclass
class FakeScheduler:
    """Where the nodes are. breaks_at: number of the order during which the connection breaks."""

    nodes: dict[str, Node] = field(default_factory=dict)
    breaks_at: int = -1
    broken: bool = False
    ordered: int = 0
    links: int = 0
    change: object = staticmethod(lambda message: message)

    def link(self, address, security=None):
        self.links += 1
        self.broken = False
        return FakeLink(self)


class FakeLink:
    """As `harness.cluster.link.Link`, for a FakeScheduler."""

    def __init__(self, scheduler):
        self.scheduler, self.events = scheduler, queue.SimpleQueue()

    def workers(self):
        if self.scheduler.broken:
            raise LinkBroken("the connection to the scheduler is closed.")
        return {address: node.name for address, node in self.scheduler.nodes.items()}

    def order(self, task, *arguments, key, worker, measures):
        node = self.scheduler.nodes[worker]
        tasks.ME = node.worker
        future = Done()
        if task is tasks.carry_out:
            self._carry_out(node, worker, *arguments)
        else:
            future.value = task(*arguments)
        self.events.put(("ended", key))
        return future

    def _carry_out(self, node, address, text):
        node.orders.append(text)
        self.scheduler.ordered += 1
        if self.scheduler.ordered == self.scheduler.breaks_at:
            self.scheduler.broken = True
            tasks.work(text, lambda message: None, lambda: True)
            raise LinkBroken("the scheduler has been started again.")
        left = [node.dies_after]

        def send(message):
            if left[0] == 0:
                return
            left[0] -= 1
            self.events.put(("message", self.scheduler.change(message)))

        tasks.work(text, send, lambda: left[0] != 0)
        if left[0] == 0:
            node.dies_after = -1
            del self.scheduler.nodes[address]
            if node.returns:
                self.scheduler.nodes[f"{address}'"] = node

    def result(self, future):
        return future.value

    def failure(self, future):
        return ""

    def close(self):
        pass


class Anywhere:
    """A site without programs."""

    security = None

    def open(self):
        return contextlib.nullcontext("tcp://scheduler:8786")


@pytest.fixture
def cluster(home, fakes, monkeypatch):
    """cluster.machines("m", "n"), then cluster.run(repeats=4): a run of engines a and bb there."""
    monkeypatch.setattr(tasks, "ME", tasks.Worker())

    class Made:
        scheduler = FakeScheduler()
        options = None

        def machines(self, *names, **node):
            chosen = fakes("a=seeded:0", "bb=seeded:0")
            for name in names:
                worker = tasks.Worker(
                    name=name,
                    commands=chosen.commands,
                    folder=home / "workers" / name,
                    make_runner=Instant,
                )
                worker.machine = lambda _, id_=(name * 12)[:12], name=name: machine_record(
                    name
                ).model_copy(update={"id": id_})
                self.scheduler.nodes[f"tcp://{name}:1"] = Node(name, worker, **node)
            return [self.scheduler.nodes[f"tcp://{name}:1"] for name in names]

        def run(self, patience=NOW, **more):
            chosen = fakes("a=seeded:0", "bb=seeded:0", **more)
            return loop.start(chosen, crew=Cluster(Anywhere(), patience))

        def resume(self, **more):
            return loop.resume(home / "results", "r", crew=Cluster(Anywhere(), NOW), **more)

    made = Made()
    made.scheduler = FakeScheduler()
    monkeypatch.setattr(commander, "Link", made.scheduler.link)
    return made
