"""The manifest of a run as a checked model: what is measured, where, and how it is decided."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from harness.records.fields import (
    MOST_BLOCKS,
    MOST_PLANNED,
    Count,
    Digest,
    EngineName,
    Facts,
    Line,
    Log,
    Moment,
    Number,
    RunName,
    Seconds,
    Seed,
    WorkloadDocument,
)
from harness.records.models import Planned, PointKey, Strict

SCHEMA = 1
PRIMARY = ("train_wall_s", "test_wall_s", "total_wall_s", "accuracy")


class EngineEntry(Strict):
    """An engine of the run: its argument list as shown to people ("python" stands for the
    interpreter, paths inside the project are relative), where it was found, the SHA-256 of the
    files that it is made of, and that of the program which is started: itself, or an interpreter.
    """

    name: EngineName
    command: list[Log] = Field(min_length=1, max_length=1_000)
    source: Literal["file", "entry point", "command"]
    sha256: Digest | None = None
    program_sha256: Digest | None = None


class GitState(Strict):
    """Commit of the project, and a hash of the uncommitted changes (None if there are none)."""

    commit: Line
    dirty: bool
    dirty_sha256: Digest | None = None


def default_baseline(engines: Sequence[str]) -> str:
    """Which of a run's engines the others are compared with: tensorflow, else the last one."""
    return "tensorflow" if "tensorflow" in engines else engines[-1]


class Margins(Strict):
    """What counts as no difference: a share of the time, and percentage points of accuracy."""

    time_share: float = Field(default=0.02, gt=0, lt=1)
    accuracy_points: float = Field(default=0.5, gt=0, lt=100)


class Rule(Strict):
    """How the run decides, fixed before its first trial.

    primary: keys of the metrics whose comparisons get a word; everything else is exploratory.
    baseline: the engine that all others are compared with. level: how often, at most, a run of
    equal engines says a word that is wrong. effect_share: the difference of times that the run is
    to find; where it could not, it says how many blocks would.
    first_blocks, until_share: after so many blocks, and after every `step_blocks` more, the run
    ends where each primary ratio of times is known this well (half of its interval, as a share);
    None for a run of a fixed number of blocks. `repeats` is then the most.
    spare_blocks: the last blocks of the schedule, at most so many, run only in the place of
    disturbed ones; None where disturbed blocks count like any other.
    settle_s, quiet_s: the longest wait before each trial, for the heat of the one before to go,
    and for the machine to be quiet.
    """

    primary: list[Line] = Field(default=list(PRIMARY), min_length=1, max_length=100)
    baseline: EngineName
    level: float = Field(default=0.05, gt=0, lt=0.5)
    effect_share: float = Field(default=0.05, gt=0, lt=1)
    first_blocks: int | None = Field(default=None, ge=2, le=MOST_BLOCKS)
    step_blocks: int = Field(default=1, ge=1, le=MOST_BLOCKS)
    until_share: float | None = Field(default=None, gt=0, lt=1)
    spare_blocks: int | None = Field(default=None, ge=0, le=MOST_BLOCKS)
    settle_s: Seconds = 0.0
    quiet_s: Seconds = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.first_blocks is None) != (self.until_share is None):
            raise ValueError("first_blocks and until_share are given together.")
        return self


class Finding(Strict):
    """What one check of a verification says of one engine; see `harness.verify.verifier`."""

    engine: EngineName
    check: Line
    ok: bool
    deviation: Number | None = None
    tolerance: Number = 0.0
    where: Log = ""
    reason: Log = ""


class Verification(Strict):
    """What was proved before a run: that its engines do the same work as a reference."""

    ok: bool
    workload: Line = ""
    reference: Line = ""
    steps: Count | None = None
    notes: list[Log] = Field(default=[])
    findings: list[Finding] = Field(default=[])


class Manifest(Strict):
    """Everything that is fixed before the first trial.

    workload: the resolved workload, as its TOML. seeds: one per block. schedule: every trial in
    the order in which they run, warm-ups first. further_seeds, curves: what is trained and tested
    after the last block, outside of anything timed: more starts, and every epoch. host, versions,
    packages, environment: what `--resume` compares. data: SHA-256 of each array handed to the
    engines, and their sizes.
    cluster: blocks may run on several machines, each of which `machines.jsonl` tells of; `host` is
    then where the run was planned and verified.
    rule: how the run decides; None in runs from before it was recorded.
    verification: what `bench verify` found before the first trial, None when it was skipped.
    sandbox: what kept the engines apart from the system, None where nothing did.
    origin: proves that this user made it on this host (`harness.machine.origin`).
    """

    schema_version: Literal[1] = 1
    run: RunName
    preset: Line
    created: Moment
    command_line: list[Log] = Field(max_length=10_000)
    workload: WorkloadDocument
    engines: list[EngineEntry] = Field(max_length=100)
    repeats: int = Field(ge=1, le=MOST_BLOCKS)
    warmups: int = Field(default=0, ge=0, le=MOST_BLOCKS)
    schedule_seed: Seed = 0
    seeds: list[Seed] = Field(max_length=MOST_BLOCKS)
    further_seeds: list[Seed] = Field(default=[], max_length=MOST_BLOCKS)
    curves: bool = False
    schedule: list[Planned] = Field(max_length=MOST_PLANNED)
    threads: int = Field(default=1, ge=1, le=1_000_000)
    cpus: list[Count] | None = None
    cold: bool = False
    sandbox: Literal["bubblewrap"] | None = None
    cluster: bool = False
    timeout_s: Seconds | None = None
    max_time_s: Seconds | None = None
    sample_interval_s: Seconds | None = 0.05
    host: Facts
    versions: dict[Line, Line]
    packages: dict[Line, Line]
    environment: dict[Line, Log] = Field(default={})
    git: GitState | None = None
    data: Facts
    margins: Margins = Margins()
    rule: Rule | None = None
    verification: dict[str, Any] | None = None
    origin: Digest | None = None

    @property
    def target(self) -> float | None:
        """The accuracy that the workload aims at, if it does."""
        wanted = self.workload.get("target")
        return None if wanted is None else float(wanted["accuracy"])

    @property
    def decides(self) -> Rule:
        """Its rule; of a run without one, what is decided by default."""
        if self.rule is not None:
            return self.rule
        names = [entry.name for entry in self.engines]
        return Rule(baseline=default_baseline(names)) if names else Rule(baseline="none")

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""
        return int(self.workload["training"]["epochs"])

    @field_validator("verification")
    @classmethod
    def _verification(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else Verification.model_validate(value).model_dump()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """What a reader counts on: names once, and a schedule of these engines and blocks."""
        names = {entry.name for entry in self.engines}
        if len(names) < len(self.engines):
            raise ValueError("an engine's name is there twice.")
        for planned in self.schedule:
            blocks = self.warmups if planned.warmup else self.repeats
            if planned.id != planned.name or planned.engine not in names or planned.block >= blocks:
                raise ValueError(f"trial '{planned.id}' is none of these engines and blocks.")
        if len({planned.id for planned in self.schedule}) < len(self.schedule):
            raise ValueError("a trial is there twice.")
        if self.rule is not None and names and self.rule.baseline not in names:
            raise ValueError(f"the baseline '{self.rule.baseline}' is no engine of the run.")
        by_epoch = self.curves or self.target is not None
        starts = len(self.further_seeds) + by_epoch * len(self.seeds)
        if starts * len(names) * (self.epochs if by_epoch else 1) > MOST_PLANNED:
            raise ValueError(f"asks for more than {MOST_PLANNED} accuracies.")
        return self

    def points(self) -> list[PointKey]:
        """The accuracies that are found after the last block, in their order.

        First the last epoch of every further seed, then what the curves lack, or what tells when
        the target was reached. The last epoch of a
        block's seed is not among them: its trial has measured that. All engines of a seed are next
        to each other, so that a run that is cut short has pairs.
        """
        engines, last = [entry.name for entry in self.engines], self.epochs
        found = [PointKey(name, seed, last) for seed in self.further_seeds for name in engines]
        if self.curves or self.target is not None:
            found += [
                PointKey(name, seed, epoch)
                for seed in [*self.seeds, *(self.further_seeds if self.curves else [])]
                for name in engines
                for epoch in range(1, last)
            ]
        return found
