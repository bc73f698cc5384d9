"""Synthetic profiles, with numbers that the test gives."""

from harness.profile.model import EngineProfile, Operation, Peak, Profile
from harness.workload import shapes
from harness.workload.format import load

STEPS = 10
OPERATIONS = {  # class and pass: share of the step
    ("convolution", "forward"): 0.2,
    ("convolution", "kernel gradient"): 0.25,
    ("matrix product", "forward"): 0.1,
    ("matrix product", "input gradient"): 0.05,
    ("pooling", None): 0.1,
    ("optimizer", "update"): 0.05,
    ("dispatch", None): 0.15,
    ("unattributed", None): 0.05,
}


def resolved(preset="paper"):
    """The workload of a preset on MNIST, as a job holds it."""
    return shapes.resolve(load(preset, ()).document(), (28, 28, 1), 10)


def operation(name, kind, part, seconds, *, layer=None, slices=()):
    """One operation of an engine."""
    return Operation(
        name=name, kind=kind, part=part, layer=layer, calls=STEPS, seconds=seconds,
        slices=list(slices),
    )  # fmt: skip


def engine(name, step_s=1e-3, *, inflation=0.1, shares=OPERATIONS, failure=""):
    """An engine whose step takes so long without its profiler; shares of the step with it."""
    if failure:
        return EngineProfile(engine=name, failure=failure)
    profiled = STEPS * step_s * (1 + inflation)
    found = [
        operation(f"{kind} {part}", kind, part, share * profiled, slices=[(0.1 * n, 0.05)])
        for n, ((kind, part), share) in enumerate(shares.items())
    ]
    return EngineProfile(
        engine=name, plain_s=[STEPS * step_s] * 3, profiled_s=profiled, operations=found
    )


def profile(*engines, preset="paper"):
    """A profile of engines; by default of two, the second ten times slower."""
    return Profile(
        name="made",
        created="2026-01-02T03:04:05+00:00",
        preset=preset,
        workload=resolved(preset),
        steps=STEPS,
        threads=1,
        host={"cpu": "a processor"},
        peak=Peak(flop_per_s=100e9, bytes_per_s=10e9, threads=1),
        engines=list(engines) or [engine("myad"), engine("tensorflow", 1e-2)],
    )
