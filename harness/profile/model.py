"""A profile as a document: what `profile.json` holds. Seconds and counts are of whole epochs."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from harness import contract
from harness.contract import ops
from harness.errors import RecordError
from harness.profile.work import step_work
from harness.records.fields import LARGEST, Count, EngineName, Facts, Line, Moment, RunName, Seconds
from harness.safe import files
from harness.safe.text import one_line
from harness.trial.answer import OpsEvent

FILE = "profile.json"
FOLDER = "profile"  # of a run, where its profile lies
CAP = 64 << 20  # bytes of a profile that is read
CLOSES_WITHIN = 0.02  # of the step: how far the sum of the operations may be from it


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Operation(OpsEvent):
    """An operation as its engine reported it."""

    event: Literal["ops"] = Field("ops", exclude=True)
    model_config = ConfigDict(extra="forbid", strict=False, populate_by_name=True)


class Peak(_Part):
    """What the machine does at best, measured in the same call, by so many threads.

    flop_per_s: of multiply-adds in registers or of matrix products, whichever is faster.
    bytes_per_s: of copies of arrays that no cache holds, what is read and what is written counted.
    """

    flop_per_s: Annotated[float, Field(gt=0, le=1e18)]
    bytes_per_s: Annotated[float, Field(gt=0, le=1e18)]
    threads: Annotated[int, Field(ge=1, le=1024)]


def _workload(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it is, if it is a resolved workload, whose work can be counted."""
    try:
        contract.Workload(document)
        work = step_work(document)
        known = all(0 <= w.flop <= LARGEST and 0 < w.bytes <= LARGEST for w in work)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError("not a workload with the sizes of its layers.")
    return document


class EngineProfile(_Part):
    """One engine's epoch under its profiler.

    failure: why there is none; everything else is then empty. plain_s: the same epoch without a
    profiler, several times. profiled_s: with it, what the operations have to add up to.
    """

    engine: EngineName
    failure: Line = ""
    plain_s: Annotated[list[Seconds], Field(max_length=100)] = []
    profiled_s: Seconds = 0.0
    operations: Annotated[list[Operation], Field(max_length=20_000)] = []
    versions: Facts = {}

    @model_validator(mode="after")
    def _measured(self) -> EngineProfile:
        if not self.failure and (min(self.plain_s, default=0.0) <= 0 or self.profiled_s <= 0):
            raise ValueError("an engine without a failure has times above 0.")
        return self

    @property
    def plain(self) -> float:
        """Seconds of the epoch without the profiler: the median."""
        return statistics.median(self.plain_s)

    @property
    def inflation(self) -> float:
        """What the profiler adds to the time, as a share of it; below 0 it is lost in noise."""
        return self.profiled_s / self.plain - 1

    @property
    def reported_s(self) -> float:
        """Seconds of all operations."""
        return sum(op.seconds for op in self.operations)

    @property
    def excess(self) -> float:
        """How far the operations' sum is above the epoch, as a share of it; below 0, below it."""
        return self.reported_s / self.profiled_s - 1

    @property
    def closes(self) -> bool:
        """Whether classes and what is unattributed make up the epoch. What is missing counts as
        unattributed, so only a sum that is too large does not close."""
        return self.excess <= CLOSES_WITHIN

    def seconds(self, kind: str, part: str | None = None) -> float:
        """Seconds in a class, or in one pass of it. What nobody reported is unattributed."""
        found = sum(
            op.seconds for op in self.operations if op.kind == kind and part in (None, op.part)
        )
        if kind == ops.UNATTRIBUTED:
            found += max(self.profiled_s - self.reported_s, 0.0)
        return found


class Profile(_Part):
    """Engines beside each other, each with its profiler on, on the same steps."""

    format: Literal[1] = 1
    name: RunName
    created: Moment
    preset: Annotated[str, Field(max_length=64)]
    workload: Annotated[dict[str, Any], AfterValidator(_workload)]
    steps: Annotated[Count, Field(ge=1)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    host: Facts
    peak: Peak
    engines: Annotated[list[EngineProfile], Field(max_length=100)]

    @property
    def measured(self) -> list[EngineProfile]:
        """The engines whose profile is there."""
        return [engine for engine in self.engines if not engine.failure]

    def document(self) -> dict[str, Any]:
        """JSON-ready, in the words of the contract ("class", "pass")."""
        return self.model_dump(mode="json", by_alias=True)


def read(folder: Path) -> Profile | None:
    """The profile of a folder; None without one. Raises: RecordError if it cannot be read."""
    path = folder / FILE
    try:
        return Profile.model_validate_json(files.read(path, CAP, below=folder.parent))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RecordError(one_line(f"{path}: {place}: {first['msg']}.")) from error
