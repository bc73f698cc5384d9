"""What an engine reports and leaves, read without trust and held against the job.

Every fault is a Fault with one of the typed outcomes: `no_result`, `bad_result` (unreadable or
impossible), `not_finite`, `contract_broken` (readable, but not the work that was asked for).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.contract import PHASES, ops
from harness.process.checkpoints import Seen
from harness.records.fields import LARGEST, Count, Seconds, Whole
from harness.records.models import Epoch, Outcome
from harness.records.store import REPORT_CAP
from harness.safe import arrays, files
from harness.safe.text import one_line
from harness.workload import shapes
from harness.workload import start as weights

# Phases are timed on the engine's clock and the whole on the launcher's: the same clock on one
# machine, read some microseconds apart.
CLOCK_SLACK_S = 0.001


class Fault(Exception):
    """An outcome other than "ok", and the sentence that explains it: one line, whatever words of
    the engine are in it."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome: Outcome = outcome
        self.reason = one_line(reason)
        super().__init__(self.reason)


class _Event(BaseModel):
    # strict: "12" is not a number; unknown keys are an engine's own business
    model_config = ConfigDict(extra="ignore", strict=True)


# An engine may well report a loss that is no number, or too large for one: `not_finite`.
Loss = Annotated[float, Field(allow_inf_nan=True)]


Weights = dict[str, np.ndarray]
Text = Annotated[str, Field(max_length=200)]
Amount = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Slice = tuple[Amount, Amount]  # start and length, seconds
MOST_OPS = 20_000  # events of one report
PARTS: tuple[str | None, ...] = (*ops.PASSES, None)


def _among(allowed: Sequence[str | None]) -> Callable[[str | None], str | None]:
    def check(word: str | None) -> str | None:
        if word not in allowed:
            raise ValueError(f"not one of {', '.join(filter(None, allowed))}")
        return word

    return check


class PhaseEvent(_Event):
    """A phase that ended; `name` is one of the contract's PHASES, which `_add` sees to."""

    event: Literal["phase"]
    name: Text
    seconds: Annotated[Seconds, Field(allow_inf_nan=False)]


class EpochEvent(_Event):
    """An epoch that ended; a loss of null stands for one that JSON cannot write."""

    event: Literal["epoch"]
    epoch: Count
    seconds: Annotated[Seconds, Field(allow_inf_nan=False)]
    loss: Loss | None
    examples: Count


class DoneEvent(_Event):
    """The end of the work, with what was really done."""

    event: Literal["done"]
    nonce: str
    parameters: Count
    layers: Annotated[list[Text], Field(max_length=100)]
    dtype: Text
    batch_size: Whole
    threads: Whole
    versions: Annotated[dict[Text, Text], Field(max_length=100)] = {}


class OpsEvent(_Event):
    """An operation of the profiled epoch, all its calls together; see `Report.ops`."""

    event: Literal["ops"]
    name: Text
    kind: Annotated[str, AfterValidator(_among(ops.CLASSES)), Field(alias="class")]
    part: Annotated[str | None, AfterValidator(_among(PARTS)), Field(alias="pass")] = None
    layer: Count | None = None
    calls: Count
    seconds: Annotated[Seconds, Field(allow_inf_nan=False)]
    flop: Amount | None = None
    bytes: Amount | None = None
    slices: Annotated[list[Slice], Field(max_length=4 * ops.MOST_SLICES)] = []


Event = PhaseEvent | EpochEvent | OpsEvent | DoneEvent
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


@dataclass
class EngineReport:
    """The report of one process, well-formed but not yet held against its job."""

    phases: dict[str, float] = field(default_factory=dict)
    epochs: list[Epoch] = field(default_factory=list)
    ops: list[OpsEvent] = field(default_factory=list)
    done: DoneEvent | None = None
    not_finite: str = ""


def read_report(path: Path, *, below: Path | None = None) -> EngineReport:
    """Read `report.jsonl`.

    Args:
        below: the folder below which nothing may have become a link.
    Raises: Fault "no_result" without a file, "bad_result" if malformed, or anything but a file.
    """
    try:
        content = files.read(path, REPORT_CAP, below=below)
    except FileNotFoundError as error:
        raise Fault("no_result", f"no report was written ({error.strerror}).") from error
    except OSError as error:
        raise Fault("bad_result", f"report: {error.strerror}.") from error
    report = EngineReport()
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                _add(report, EVENT.validate_json(line))
            except (ValidationError, ValueError, RecursionError) as error:
                raise Fault("bad_result", f"report line {number}: {_complaint(error)}") from error
    return report


def check_report(report: EngineReport, job: dict[str, Any], wall_s: float, examples: int) -> None:
    """Hold a report against its job and the outer clock.

    Args:
        wall_s: wall time of the whole process, by the launcher.
        examples: how many training images there are; seen once per epoch.
    Raises: Fault naming the field that differs.
    """
    if report.done is None:
        raise Fault("no_result", "the engine ended without a `done` line in its report.")
    if report.done.nonce != job["nonce"]:
        raise Fault("contract_broken", "nonce: the report is not an answer to this job.")
    inside = max(sum(report.phases.values()), sum(epoch.seconds for epoch in report.epochs))
    if inside > wall_s + CLOCK_SLACK_S:
        raise Fault(
            "bad_result",
            f"the phases add up to {inside:.3f} s, but the process took {wall_s:.3f} s.",
        )
    if report.not_finite:
        raise Fault("not_finite", report.not_finite)
    _check_done(report.done, job)
    if job["phase"] == "train":
        _check_epochs(report.epochs, job["workload"]["training"]["epochs"], examples)


def check_weights(job: dict[str, Any], *, below: Path | None = None) -> Weights:
    """The trained weights: they are there, finite, and of the model's shapes. Raises: Fault."""
    return _weights(Path(job["weights"]), job, below=below)


def check_checkpoints(seen: Seen, job: dict[str, Any], kept: Path, trained: Weights) -> None:
    """There is one after every epoch, in order, and the last holds the trained weights.

    Args:
        kept: the folder with their copies. trained: the weights that the engine saved at its end.
    Raises: Fault.
    """
    epochs = job["workload"]["training"]["epochs"]
    if seen.fault:
        raise Fault("bad_result", f"checkpoints: {seen.fault}")
    if len(seen.at_ns) < epochs:
        raise Fault("contract_broken", f"checkpoints: {len(seen.at_ns)} of {epochs} appeared.")
    if sorted(seen.at_ns, key=lambda epoch: (seen.at_ns[epoch], epoch)) != sorted(seen.at_ns):
        raise Fault("contract_broken", "checkpoints: they did not appear in the order of epochs.")
    for epoch in sorted(seen.at_ns):
        found = _weights(kept / f"{epoch}.npz", job)
    if any(not np.array_equal(found[name], values) for name, values in trained.items()):
        raise Fault("contract_broken", "checkpoints: the last one is not the trained weights.")


def _weights(path: Path, job: dict[str, Any], *, below: Path | None = None) -> Weights:
    try:
        return weights.load(path, job["workload"]["model"], below=below)
    except FileNotFoundError:
        raise Fault("no_result", "the engine wrote no weights.") from None
    except weights.UnreadableWeights as error:
        raise Fault("bad_result", str(error)) from error
    except weights.WeightsError as error:
        text = str(error)
        raise Fault("not_finite" if "not finite" in text else "contract_broken", text) from error


def read_predictions(
    job: dict[str, Any], expected: int, *, below: Path | None = None
) -> np.ndarray:
    """The predicted classes, uint8 (expected,). Raises: Fault."""
    limit = expected + 4096  # one byte each, and a generous header: nothing larger is even opened
    try:
        found = arrays.read_npy(Path(job["predictions"]), limit, below=below)
    except FileNotFoundError:
        raise Fault("no_result", "the engine wrote no predictions.") from None
    except OSError as error:
        raise Fault("bad_result", f"predictions: {error.strerror}.") from error
    except arrays.ArrayError as error:
        raise Fault("bad_result", f"predictions: {error}") from error
    if found.dtype != np.uint8 or found.ndim != 1:
        what = f"{found.dtype} {found.shape}"
        raise Fault("bad_result", f"predictions: {what}, expected uint8 ({expected},).")
    if len(found) != expected:
        raise Fault("contract_broken", f"predictions: {len(found)} for {expected} test images.")
    classes = job["workload"]["model"]["classes"]
    if found.size and int(found.max()) >= classes:
        raise Fault(
            "bad_result", f"predictions: class {int(found.max())}, allowed 0 to {classes - 1}."
        )
    return found


def _add(report: EngineReport, event: Event) -> None:
    if report.done is not None:
        raise ValueError("there is something after the `done` line.")
    if isinstance(event, PhaseEvent):
        if event.name not in PHASES:
            raise ValueError(f"no phase '{event.name}'; allowed: {', '.join(PHASES)}.")
        if event.name in report.phases:
            raise ValueError(f"phase '{event.name}' a second time.")
        report.phases[event.name] = event.seconds
    elif isinstance(event, EpochEvent):
        loss = event.loss if event.loss is not None and abs(event.loss) <= LARGEST else None
        if loss is None and not report.not_finite:
            report.not_finite = f"the loss of epoch {event.epoch} is {event.loss}."
        report.epochs.append(
            Epoch(epoch=event.epoch, seconds=event.seconds, loss=loss, examples=event.examples)
        )
    elif isinstance(event, OpsEvent):
        if len(report.ops) >= MOST_OPS:
            raise ValueError(f"more than {MOST_OPS:,} operations.")
        report.ops.append(event)
    else:
        report.done = event


def _check_done(done: DoneEvent, job: dict[str, Any]) -> None:
    model, training = job["workload"]["model"], job["workload"]["training"]
    settings = training if job["phase"] == "train" else job["workload"]["testing"]
    expected = {
        "parameters": shapes.parameter_count(model),
        "layers": shapes.layer_types(model),
        "dtype": training["dtype"],
        "batch_size": settings["batch_size"],
        "threads": job["threads"],
    }
    for name, value in expected.items():
        found = getattr(done, name)
        if found != value:
            raise Fault(
                "contract_broken",
                f"{name}: the engine reports {_short(found)}, the job says {_short(value)}.",
            )


def _check_epochs(epochs: list[Epoch], expected: int, examples: int) -> None:
    numbers = [epoch.epoch for epoch in epochs]
    if numbers != list(range(1, expected + 1)):
        raise Fault(
            "contract_broken",
            f"epochs: the engine reports {_short(numbers)}, the job asks for {expected} from 1.",
        )
    for epoch in epochs:
        if epoch.examples != examples:
            raise Fault(
                "contract_broken",
                f"examples: epoch {epoch.epoch} saw {epoch.examples} of {examples} images.",
            )


def _complaint(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply."
    if not isinstance(error, ValidationError):
        return one_line(error)
    first = error.errors(include_url=False)[0]
    place = _short_text(".".join(str(part) for part in first["loc"]))
    given = _short(first["input"])
    return f"{place + ': ' if place else ''}{first['msg']} (found {given})."


def _short(value: Any) -> str:
    return _short_text(json.dumps(value, default=repr))


def _short_text(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= 80 else text[:77] + "..."
