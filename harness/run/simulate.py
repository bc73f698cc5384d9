"""Whole runs made of noise: schedule, records and decision, without a process.

What is true of a synthetic run is known, so the share of runs that say a wrong word can be
counted. Seconds come from noise models, all of them unkind: a machine that gets slower, one that
remembers its last minutes, one that is busy in bursts, one whose noise has no variance to speak
of. Trials follow the order of a real schedule, records go through the decision of a real report.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.records.manifest import EngineEntry, Manifest, Margins, Rule
from harness.records.models import Memory, ProcessResult, Trial
from harness.records.store import Run
from harness.run import schedule
from harness.run.rule import over

ENGINES = ("a", "b", "c", "d", "e")
SPREAD = 0.04  # standard deviation of the log of a process's seconds, where a model says no other
IMAGES = 10_000
AT = "2026-01-02T03:04:05+00:00"

Noise = Callable[[np.random.Generator, int], np.ndarray]
"""Logarithms of what the machine does to trials one after the other: (trials, 2), of training and
testing."""


def normal(rng: np.random.Generator, trials: int) -> np.ndarray:
    """Independent and normal."""
    return SPREAD * rng.standard_normal((trials, 2))


def drifting(rng: np.random.Generator, trials: int) -> np.ndarray:
    """The same on a machine that gets slower by 0.5 % from one trial to the next."""
    return normal(rng, trials) + 0.005 * np.arange(trials)[:, None]


def remembering(rng: np.random.Generator, trials: int) -> np.ndarray:
    """AR(1): xₜ = 0.8·xₜ₋₁ + eₜ, from one trial to the next, shared by both processes in part."""
    steps = 0.6 * rng.standard_normal((trials, 2))
    noise = np.empty_like(steps)
    last = rng.standard_normal(2)
    for place, step in enumerate(steps):
        last = 0.8 * last + step
        noise[place] = last
    shared = noise.mean(axis=1, keepdims=True)
    return SPREAD * (0.7 * shared + 0.3 * noise) + 0.3 * normal(rng, trials)


def bursting(rng: np.random.Generator, trials: int) -> np.ndarray:
    """Calm, but for stretches of about three trials that are 10 to 60 % slower."""
    busy = np.zeros(trials)
    for start in np.flatnonzero(rng.random(trials) < 0.04):
        busy[start : start + 1 + rng.poisson(2)] += rng.uniform(0.1, 0.6)
    return 0.3 * normal(rng, trials) + busy[:, None] * rng.uniform(0.5, 1.0, (trials, 2))


def heavy_tailed(rng: np.random.Generator, trials: int) -> np.ndarray:
    """Student's t with 2 degrees of freedom: no variance."""
    return 0.5 * SPREAD * rng.standard_t(2, (trials, 2))


def skewed(rng: np.random.Generator, trials: int) -> np.ndarray:
    """Exponential: a process is never faster than its best, and at times far slower."""
    return SPREAD * rng.exponential(1.0, (trials, 2))


NOISES: Mapping[str, Noise] = {
    "normal": normal,
    "drift": drifting,
    "AR(1)": remembering,
    "bursts": bursting,
    "heavy tails": heavy_tailed,
    "skew": skewed,
}


@dataclass(frozen=True)
class World:
    """What is true: engines, how much slower each is than 1 s (a factor of both processes), by
    how many points more accurate, and the noise. lingering: share by which a trial is slower that
    runs behind the last engine, whatever it is itself."""

    noise: Noise = normal
    factors: Mapping[str, float] = field(default_factory=dict)
    points: Mapping[str, float] = field(default_factory=dict)
    engines: tuple[str, ...] = ENGINES
    lingering: float = 0.0


def manifest(world: World, blocks: int, seed: int, rule: Rule | None = None) -> Manifest:
    """The manifest of a run of the world, with a real schedule."""
    seeds = schedule.block_seeds(0, blocks)
    planned = schedule.plan(
        world.engines, repeats=blocks, warmups=0, seeds=seeds, schedule_seed=seed
    )
    return Manifest.model_construct(
        run="simulated",
        engines=[EngineEntry.model_construct(name=name) for name in world.engines],
        workload={"training": {"epochs": 1}},
        repeats=blocks,
        seeds=seeds,
        further_seeds=[],
        curves=False,
        schedule=planned,
        margins=Margins(),
        rule=rule or Rule(baseline=world.engines[-1]),
    )


def run_of(world: World, made: Manifest, rng: np.random.Generator) -> Run:
    """A complete run: every trial of the schedule, in its order, with seconds and an accuracy."""
    logs = world.noise(rng, len(made.schedule))
    peaks = rng.normal(1.0, 0.002, len(made.schedule))
    # a start makes an accuracy for all engines, and each adds a little of its own
    starts = 0.9 + 0.01 * rng.standard_normal(made.repeats)
    own = 0.0005 * rng.standard_normal(len(made.schedule))
    trials, before = [], ""
    for place, planned in enumerate(made.schedule):
        factor = world.factors.get(planned.engine, 1.0)
        if before == world.engines[-1]:
            factor *= 1 + world.lingering
        before = planned.engine
        train, test = factor * np.exp(logs[place]) * (1.0, 0.2)
        accuracy = starts[planned.block] + own[place] + world.points.get(planned.engine, 0.0) / 100
        trials.append(
            trial_of(planned, float(train), float(test), float(accuracy), float(peaks[place]))
        )
    return Run(Path("simulated"), made, trials)


def blocks_until(run: Run) -> int:
    """How many blocks a complete run would have had by its own rule."""
    return next(n for n in range(1, run.manifest.repeats + 1) if over(run, n))


def trial_of(planned, train: float, test: float, accuracy: float, peak: float) -> Trial:
    """The record of a valid trial with these seconds."""
    # built without validation: two thousand runs of fifty trials each are made in seconds
    return Trial.model_construct(
        **planned.__dict__,
        state="finished",
        at=AT,
        machine="",
        train=_process("train", train, peak),
        test=_process("test", test, peak),
        accuracy=accuracy,
        test_count=IMAGES,
        valid=True,
        failure="",
        disturbed=False,
        disturbances=[],
    )


def _process(name: str, wall_s: float, peak: float) -> ProcessResult:
    return ProcessResult.model_construct(
        outcome="ok",
        wall_s=wall_s,
        phases={name: 0.8 * wall_s},
        epochs=[],
        peak_rss=Memory.model_construct(bytes=int(1e8 * peak), method="simulated", bound="exact"),
        tree_peak=None,
    )
