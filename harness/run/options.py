"""What a person may ask of `bench run`, checked before anything is written."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
SETTLE_S = 1.0  # the longest pause before a trial, where the person said nothing
DEFAULT_TIMEOUT_S = 2 * 3600.0  # the slowest known engine needs seven minutes for the paper preset


@dataclass(frozen=True)
class RunOptions:
    """The options of `bench run`, as numbers and names; None where the person said nothing.

    seeds: starts in all; each of the `repeats` blocks is one, what is beyond them is not timed.
    primary, baseline, margin, accuracy_margin, until_share: what the run decides, see `Rule` and
    `Margins`; most_repeats: of a run that ends by its rule. quiet, spares: wait for a quiet machine
    and repeat so many disturbed blocks. settle_s: the longest pause before a trial.
    trust: of a sweep that goes on. verify_steps, verify_engines: None for all there is.
    """

    preset: str = "paper"
    settings: tuple[str, ...] = ()
    engines: str | None = None
    commands: tuple[str, ...] = ()
    engine_paths: tuple[Path, ...] = ()
    repeats: int = 10
    warmups: int = 1
    seed: int = 0
    seeds: int = 0
    curves: bool = False
    name: str | None = None
    results: Path = Path("results")
    threads: int = 1
    cpus: tuple[int, ...] | None = None
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    max_time_s: float | None = None
    cold: bool = False
    sampling: bool = True
    verify: bool = True
    wait: bool = False
    trust: bool = False
    sandbox: bool = False
    primary: tuple[str, ...] = ()
    baseline: str | None = None
    margin: float | None = None
    accuracy_margin: float | None = None
    until_share: float | None = None
    most_repeats: int | None = None
    quiet: bool = False
    spares: int | None = None
    settle_s: float = 0.0
    verify_steps: int | None = None
    verify_engines: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_run_name(self.name)
        if self.cpus is not None and len(self.cpus) < self.threads:
            raise UsageError(
                f"--cpus: {len(self.cpus)} processors for --threads {self.threads}; give as many."
            )


def parse_share(text: str, option: str) -> float:
    """0.03 of "3%" or "0.03". Raises: UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share < 1:
        raise UsageError(f"{option} '{text}': expected a share such as 3% or 0.03, below 1.")
    return share


def check_run_name(name: str) -> None:
    """Refuse a name that is no plain folder name. Raises: UsageError."""
    if not NAME.fullmatch(name) or set(name) == {"."}:
        raise UsageError(
            f"--name '{name}': allowed are 1 to 64 of A-Z a-z 0-9 . _ -, and not only dots."
        )


def parse_duration(text: str, option: str) -> float:
    """Seconds of "90", "90s", "30m" or "2h". Raises: UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if match is None or match[2] not in UNITS_S or float(match[1]) <= 0:
        raise UsageError(f"{option} '{text}': expected a time such as 90, 90s, 30m or 2h, above 0.")
    return float(match[1]) * UNITS_S[match[2]]


def parse_cpus(text: str) -> tuple[int, ...]:
    """Processors such as "0,2-3", as of taskset. Raises: UsageError naming those that exist."""
    if not hasattr(os, "sched_getaffinity"):
        raise UsageError("--cpus: this system cannot pin processes to processors.")
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match is None or int(match[2] or match[1]) - int(match[1]) not in range(4096):
            raise UsageError(f"--cpus '{text}': expected processors such as 0,2-3.")
        chosen |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    usable = os.sched_getaffinity(0)
    if not chosen <= usable:
        here = ", ".join(map(str, sorted(usable)))
        raise UsageError(f"--cpus '{text}': allowed on this machine: {here}.")
    return tuple(sorted(chosen))
