"""The records of a run as checked models: `manifest.json`, the lines of its two `.jsonl` files.

Every number is stored unrounded, in seconds and bytes. `null` means that a figure could not be had
on this machine (the record's `degraded` says why); it is never a zero in disguise. Not-a-number and
infinity are refused: an engine's NaN loss becomes an outcome, not a number.
"""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA = 1

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
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


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
    method: str
    bound: Literal["exact", "lower", "sampled"]


class Epoch(Strict):
    """One epoch as the engine reported it; `epoch` counts from 1, `loss` is the mean."""

    epoch: int
    seconds: Seconds
    loss: float | None = None
    examples: Count


class Witnesses(Strict):
    """What else the machine did while a process of a trial ran; `None` where unreadable.

    load_before, load_after: one-minute load average. other_cpu_s: CPU time of all other processes.
    steal_s: time taken by the hypervisor. swapped_pages: pages swapped in and out. throttled: CPU
    throttle events. pressure_*_s: time in which some task waited for CPU, memory or disk.
    frequency_mhz: mean frequency over the cores, before and after.
    """

    load_before: float | None = None
    load_after: float | None = None
    other_cpu_s: Seconds | None = None
    steal_s: Seconds | None = None
    swapped_pages: Count | None = None
    throttled: Count | None = None
    pressure_cpu_s: Seconds | None = None
    pressure_memory_s: Seconds | None = None
    pressure_io_s: Seconds | None = None
    frequency_before_mhz: float | None = None
    frequency_after_mhz: float | None = None


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
    degraded: abilities that were missing on this machine, in words.
    """

    outcome: Outcome
    reason: str = ""
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
    exit_code: int | None = None
    signal: str | None = None
    phases: dict[str, Seconds] = {}
    start_up_and_exit_s: Seconds | None = None
    epochs: list[Epoch] = []
    parameters: Count | None = None
    layers: list[str] = []
    dtype: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    threads_seen: Count | None = None
    versions: dict[str, str] = {}
    stdout_bytes: Count = 0
    stderr_bytes: Count = 0
    stdout_tail: str = ""
    stderr_tail: str = ""
    sampler_s: Seconds | None = None
    energy_j: Seconds | None = None
    witnesses: Witnesses = Witnesses()
    degraded: list[str] = []


class Planned(Strict):
    """One trial of the schedule, known before the first trial runs.

    id: "<block>-<engine>", "warmup<block>-<engine>" for warm-ups; also its folder's name under
    `trials/`. block: from 0, warm-ups counted apart. slot: position inside the block, from 0.
    seed: of the starting weights and the shuffling, the same for every engine of the block.
    """

    id: str
    block: Count
    slot: Count
    engine: str
    seed: int
    warmup: bool = False


class Trial(Planned):
    """One record of `trials.jsonl`: a trial at a change of its state.

    machine: fingerprint of the machine that ran it, in the run of a cluster; "" is the manifest's
    host. A trial that had finished is "withdrawn" where its machine went before the block was done:
    the block begins anew on another one, as a ratio is of one machine.
    valid: both processes ended "ok" and every check held. failure: why not, in one sentence.
    accuracy: correct / test_count in [0, 1], recomputed from the saved predictions.
    disturbed: the machine was busy with something else; `disturbances` gives the figures.
    at: when the record was written, UTC, ISO 8601; no duration is taken from it.
    """

    schema_version: Literal[1] = 1
    state: State
    at: str
    machine: str = ""
    train: ProcessResult | None = None
    test: ProcessResult | None = None
    accuracy: float | None = Field(default=None, ge=0, le=1)
    correct: Count | None = None
    test_count: Count | None = None
    valid: bool = False
    failure: str = ""
    disturbed: bool = False
    disturbances: list[str] = []

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
    engine: str
    seed: int
    epoch: int = Field(ge=1)
    at: str
    accuracy: float | None = Field(default=None, ge=0, le=1)
    correct: Count | None = None
    test_count: Count | None = None
    failure: str = ""

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
    id: str = Field(pattern="^[0-9a-f]{12}$")
    name: str
    host: dict[str, Any]
    environment: dict[str, str] = {}
    findings: list[str] = []
    at: str


class EngineEntry(Strict):
    """An engine of the run: its argument list as shown to people ("python" stands for the
    interpreter, paths inside the project are relative), where it was found, and the SHA-256 of
    its file where it is a file.
    """

    name: str
    command: list[str]
    source: Literal["file", "entry point", "command"]
    sha256: str | None = None


class GitState(Strict):
    """Commit of the project, and a hash of the uncommitted changes (None if there are none)."""

    commit: str
    dirty: bool
    dirty_sha256: str | None = None


class Margins(Strict):
    """What counts as no difference: a share of the time, and percentage points of accuracy."""

    time_share: float = Field(default=0.02, gt=0, lt=1)
    accuracy_points: float = Field(default=0.5, gt=0, lt=100)


class Manifest(Strict):
    """Everything that is fixed before the first trial.

    workload: the resolved workload, as its TOML. seeds: one per block. schedule: every trial in
    the order in which they run, warm-ups first. further_seeds, curves: what is trained and tested
    after the last block, outside of anything timed: more starts, and every epoch. host, versions,
    packages, environment: what `--resume` compares. data: SHA-256 of each array handed to the
    engines, and their sizes.
    cluster: blocks may run on several machines, each of which `machines.jsonl` tells of; `host` is
    then where the run was planned and verified.
    verification: what `bench verify` found before the first trial, None when it was skipped.
    """

    schema_version: Literal[1] = 1
    run: str
    preset: str
    created: str
    command_line: list[str]
    workload: dict[str, Any]
    engines: list[EngineEntry]
    repeats: int = Field(ge=1)
    warmups: Count = 0
    schedule_seed: int = 0
    seeds: list[int]
    further_seeds: list[int] = []
    curves: bool = False
    schedule: list[Planned]
    threads: int = Field(default=1, ge=1)
    cpus: list[int] | None = None
    cold: bool = False
    cluster: bool = False
    timeout_s: Seconds | None = None
    max_time_s: Seconds | None = None
    sample_interval_s: Seconds | None = 0.05
    host: dict[str, Any]
    versions: dict[str, str]
    packages: dict[str, str]
    environment: dict[str, str] = {}
    git: GitState | None = None
    data: dict[str, Any]
    margins: Margins = Margins()
    verification: dict[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""
        return self.workload["training"]["epochs"]

    def points(self) -> list[PointKey]:
        """The accuracies that are found after the last block, in their order.

        First the last epoch of every further seed, then what the curves lack. The last epoch of a
        block's seed is not among them: its trial has measured that. All engines of a seed are next
        to each other, so that a run that is cut short has pairs.
        """
        engines, last = [entry.name for entry in self.engines], self.epochs
        found = [PointKey(name, seed, last) for seed in self.further_seeds for name in engines]
        if self.curves:
            found += [
                PointKey(name, seed, epoch)
                for seed in [*self.seeds, *self.further_seeds]
                for name in engines
                for epoch in range(1, last)
            ]
        return found
