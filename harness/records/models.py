"""The records of a run as checked models: the lines of its `.jsonl` files.

Every number is stored unrounded, in seconds and bytes. `null` means that a figure could not be had
on this machine (the record's `degraded` says why); it is never a zero in disguise. Not-a-number and
infinity are refused: an engine's NaN loss becomes an outcome, not a number.
"""

from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.records.fields import (
    MOST_BLOCKS,
    Count,
    EngineName,
    Facts,
    Fraction,
    Line,
    Log,
    MachineId,
    Moment,
    Number,
    PhaseName,
    Seconds,
    Seed,
    TrialName,
    Whole,
)

Outcome = Literal[
    "ok",
    "exit_nonzero",
    "signal",
    "out_of_memory",
    "timeout",
    "hang_after_result",
    "no_result",
    "bad_result",
    "not_finite",
    "contract_broken",
    "not_started",
    "interrupted",
]
State = Literal["started", "finished", "interrupted", "withdrawn"]


class Strict(BaseModel):
    """A model that refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=False)


class Memory(Strict):
    """A memory figure with the way it was obtained.

    bytes: the figure. method: where it comes from ("wait4 ru_maxrss", "cgroup memory.peak",
    "sampled rss", "sampled pss"). bound: "exact" (the kernel's own peak), "lower" (something was
    missed, the truth may be more), "sampled" (the largest of the samples).
    """

    bytes: Count
    method: Line
    bound: Literal["exact", "lower", "sampled"]


class Epoch(Strict):
    """One epoch as the engine reported it; `epoch` counts from 1, `loss` is the mean."""

    epoch: Count
    seconds: Seconds
    loss: Number | None = None
    examples: Count


class Checkpoint(Strict):
    """The weights after an epoch were there, whole: seconds from the start of the process to that
    moment, both by the harness's clock. No earlier: what is tested was read before the stamp."""

    epoch: Count = Field(ge=1)
    seconds: Seconds


class Witnesses(Strict):
    """What else the machine did while a process of a trial ran; `None` where unreadable.

    load_before, load_after: one-minute load average. other_cpu_s: CPU time of all other processes.
    steal_s: time taken by the hypervisor. swapped_pages: pages swapped in and out. throttled: CPU
    throttle events. pressure_*_s: time in which some task waited for CPU, memory or disk.
    frequency_mhz: mean frequency over the cores, before and after.
    """

    load_before: Number | None = None
    load_after: Number | None = None
    other_cpu_s: Seconds | None = None
    steal_s: Seconds | None = None
    swapped_pages: Count | None = None
    throttled: Count | None = None
    pressure_cpu_s: Seconds | None = None
    pressure_memory_s: Seconds | None = None
    pressure_io_s: Seconds | None = None
    frequency_before_mhz: Number | None = None
    frequency_after_mhz: Number | None = None


class ProcessResult(Strict):
    """One process of a trial (its `train` or its `test`).

    Seconds: wall_s (launcher: spawn to wait4), outer_wall_s (the harness's clock around the
    launcher, a cross-check), user_s and system_s (wait4; `cpu_bound` is "lower" where descendants
    that nobody waited for were lost), phases (reported by the engine, none nested),
    start_up_and_exit_s (wall_s less the phases).
    Memory: peak_rss (the largest single process), tree_peak (all of them; None without children).
    exit_code or signal: how it ended; both None when it was not started.
    threads_seen: most threads seen at once by the sampler. cpu_ratio: CPU time over wall time.
    sampler_s: CPU time the sampler itself used. energy_j: joules by RAPL where readable.
    checkpoints: of a training that was to leave any; checkpoints_method: how they were noticed.
    degraded: abilities that were missing on this machine, in words.
    """

    outcome: Outcome
    reason: Log = ""
    wall_s: Seconds | None = None
    outer_wall_s: Seconds | None = None
    user_s: Seconds | None = None
    system_s: Seconds | None = None
    cpu_bound: Literal["exact", "lower"] = "exact"
    cpu_ratio: Seconds | None = None
    peak_rss: Memory | None = None
    tree_peak: Memory | None = None
    minor_faults: Count | None = None
    major_faults: Count | None = None
    voluntary_switches: Count | None = None
    involuntary_switches: Count | None = None
    exit_code: int | None = Field(default=None, ge=-(2**31), le=2**32)  # Windows: unsigned
    signal: Line | None = None
    phases: dict[PhaseName, Seconds] = {}
    start_up_and_exit_s: Seconds | None = None
    epochs: list[Epoch] = []
    checkpoints: list[Checkpoint] = []
    checkpoints_method: Line | None = None
    parameters: Count | None = None
    layers: list[Line] = Field(default=[], max_length=100)
    dtype: Line | None = None
    batch_size: Whole | None = None
    threads: Whole | None = None
    threads_seen: Count | None = None
    versions: dict[Line, Line] = Field(default={}, max_length=100)
    stdout_bytes: Count = 0
    stderr_bytes: Count = 0
    stdout_tail: Log = ""
    stderr_tail: Log = ""
    sampler_s: Seconds | None = None
    energy_j: Seconds | None = None
    witnesses: Witnesses = Witnesses()
    degraded: list[Log] = Field(default=[], max_length=100)


class Planned(Strict):
    """One trial of the schedule, known before the first trial runs.

    id: "<block>-<engine>", "warmup<block>-<engine>" for warm-ups; also its folder's name under
    `trials/`. block: from 0, warm-ups counted apart. slot: position inside the block, from 0.
    seed: of the starting weights and the shuffling, the same for every engine of the block.
    """

    id: TrialName
    block: Count
    slot: Count
    engine: EngineName
    seed: Seed
    warmup: bool = False

    @property
    def name(self) -> str:
        """What its id has to be in a schedule."""
        return f"{'warmup' if self.warmup else ''}{self.block}-{self.engine}"


class Trial(Planned):
    """One record of `trials.jsonl`: a trial at a change of its state.

    machine: fingerprint of the machine that ran it, in the run of a cluster; "" is the manifest's
    host. A trial that had finished is "withdrawn" where its machine went before the block was done:
    the block begins anew on another one, as a ratio is of one machine.
    valid: both processes ended "ok" and every check held. failure: why not, in one sentence.
    accuracy: correct / test_count in [0, 1], recomputed from the saved predictions.
    waited_s: how long the harness waited before it for the machine to settle and be quiet.
    disturbed: the machine was busy with something else; `disturbances` gives the figures.
    at: when the record was written, UTC, ISO 8601; no duration is taken from it.
    """

    schema_version: Literal[1] = 1
    state: State
    at: Moment
    machine: MachineId | Literal[""] = ""
    train: ProcessResult | None = None
    test: ProcessResult | None = None
    accuracy: Fraction | None = None
    correct: Count | None = None
    test_count: Count | None = None
    valid: bool = False
    failure: Log = ""
    waited_s: Seconds = 0.0
    disturbed: bool = False
    disturbances: list[Log] = Field(default=[], max_length=100)

    @property
    def key(self) -> tuple[str, str]:
        """What makes a trial unique in its run: its id, a warm-up's with its machine."""
        return self.id, self.machine if self.warmup else ""

    @property
    def total_wall_s(self) -> float | None:
        """Wall seconds of the train and the test process together; None if one is missing."""
        if self.train is None or self.test is None:
            return None
        if self.train.wall_s is None or self.test.wall_s is None:
            return None
        return self.train.wall_s + self.test.wall_s

    @property
    def timed_out(self) -> bool:
        """Whether it ended at its time limit and nothing else went wrong before."""
        ended = [result.outcome for result in (self.train, self.test) if result is not None]
        return ended in (["timeout"], ["ok", "timeout"])

    @model_validator(mode="after")
    def _valid_or_not(self) -> Self:
        ended = [result.outcome for result in (self.train, self.test) if result is not None]
        if self.valid and (ended != ["ok", "ok"] or self.accuracy is None or self.failure):
            raise ValueError("valid, but a process, its good end or the accuracy is missing.")
        return self


class PointKey(NamedTuple):
    """Which accuracy is meant: of an engine, started from `seed`, after `epoch` epochs."""

    engine: str
    seed: int
    epoch: int


class Point(Strict):
    """One record of `accuracy.jsonl`: accuracy on the test set, outside of anything timed.

    engine, seed, epoch: see PointKey; epoch counts from 1. accuracy: correct / test_count in
    [0, 1], recomputed from the predictions; None where it failed, and then `failure` says why.
    at: when the record was written, UTC, ISO 8601.
    """

    schema_version: Literal[1] = 1
    engine: EngineName
    seed: Seed
    epoch: Count = Field(ge=1)
    at: Moment
    accuracy: Fraction | None = None
    correct: Count | None = None
    test_count: Count | None = None
    failure: Log = ""

    @property
    def key(self) -> PointKey:
        """What makes the record unique in its run."""
        return PointKey(self.engine, self.seed, self.epoch)

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if (self.accuracy is None) != bool(self.failure):
            raise ValueError("either an accuracy or the reason of a failure is needed.")
        return self


class Machine(Strict):
    """One record of `machines.jsonl`: a machine that takes part in the run of a cluster.

    id: its fingerprint, as in the trials. name: what its worker was called. host, environment: as
    in the manifest. findings: what `bench doctor` said against it. at: when it joined, UTC.
    """

    schema_version: Literal[1] = 1
    id: MachineId
    name: Line
    host: Facts
    environment: dict[Line, Log] = {}
    findings: list[Log] = Field(default=[], max_length=100)
    at: Moment


class Ended(Strict):
    """The record of `ended.jsonl`: by its own rule the run has as many blocks as it needs.

    blocks: so many count as planned; what the schedule has beyond them does not run. reason: in a
    sentence. at: when it was found, UTC.
    """

    schema_version: Literal[1] = 1
    blocks: Count = Field(ge=1, le=MOST_BLOCKS)
    reason: Log
    at: Moment
