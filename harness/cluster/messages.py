"""What commander and workers tell each other: checked JSON, and the files of a trial."""

import hashlib
from functools import cache

from harness.records.manifest import Manifest
from harness.records.models import Machine, Planned, Strict
from harness.trial.engines import ROOT

TOPIC = "bench"  # of the events in which records come home; one, as a scheduler forgets none
RESOURCE = "bench"  # a worker has one, a block takes one


class Question(Strict):
    """To a worker: can you take part in this run? project: see `project`."""

    project: str
    manifest: Manifest


class Proof(Strict):
    """A worker's answer. refused: why it cannot take part, "" if it can. run: what it calls the
    run. machine: which one it is. missing: the data set that it lacks and can be sent, or "".
    """

    refused: str = ""
    run: str = ""
    machine: Machine | None = None
    missing: str = ""


class Order(Strict):
    """To a worker that has proven itself: carry this block out. ticket: names this order alone."""

    run: str
    ticket: str
    trials: list[Planned]


class Answer(Strict):
    """How an order ended. failure: why it was not carried out; "" also where it was stopped."""

    failure: str = ""


@cache
def project() -> str:
    """SHA-256 of the harness's own sources: all machines of a run measure with the same code."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "harness").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def identity(manifest: Manifest) -> str:
    """Names a run on a worker, whatever its folder is called: 16 hexadecimal digits."""
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()[:16]
