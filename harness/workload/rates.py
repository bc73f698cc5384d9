"""Learning-rate schedules: described in a workload, worked out here, handed to engines as numbers.

With α the workload's learning rate, T the steps of the schedule and t = 0, 1, … a step, a schedule
is a function f(t) and the rate α·f(t). Engines get the rates themselves, one per step, like the
order of the images: none can read a schedule differently, and none needs to know any.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationInfo, field_validator

from harness.workload.settings import Count, Settings, Share

Factor = Annotated[float, Field(ge=0)]


class Schedule(Settings):
    """What all have in common. epochs: their length, None for that of the training; a training that
    is longer goes on with the last rate."""

    epochs: Count | None = None

    def course(self, t: np.ndarray, steps: int, per_epoch: int) -> np.ndarray:
        """f at the steps t, all below `steps`, of which an epoch has `per_epoch`."""
        raise NotImplementedError


class Constant(Schedule):
    """f = 1."""

    type: Literal["constant"] = "constant"

    def course(self, t: np.ndarray, steps: int, per_epoch: int) -> np.ndarray:
        """See Schedule."""
        return np.ones(len(t))


class Piecewise(Schedule):
    """f = factors[i], where i is how many of `boundaries`, in epochs, have been reached."""

    type: Literal["piecewise"]
    boundaries: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(max_length=100)]
    factors: Annotated[tuple[Factor, ...], Field(max_length=101)]

    @field_validator("boundaries")
    @classmethod
    def _rising(cls, boundaries: tuple[float, ...]) -> tuple[float, ...]:
        if list(boundaries) != sorted(set(boundaries)):
            raise ValueError("each has to be above the one before")
        return boundaries

    @field_validator("factors")
    @classmethod
    def _one_more(cls, factors: tuple[float, ...], known: ValidationInfo) -> tuple[float, ...]:
        if len(factors) != len(known.data.get("boundaries", factors[1:])) + 1:
            raise ValueError("needs one factor more than there are boundaries")
        return factors

    def course(self, t: np.ndarray, steps: int, per_epoch: int) -> np.ndarray:
        """See Schedule."""
        reached = np.searchsorted(np.array(self.boundaries) * per_epoch, t, side="right")
        return np.array(self.factors)[reached]


class Cosine(Schedule):
    """f(t) = e + (1 − e)·(1 + cos(π·t/(T − 1)))/2: from 1 at the first step to e = `end_factor` at
    the last. Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts."""

    type: Literal["cosine"]
    end_factor: Factor = 0.0

    def course(self, t: np.ndarray, steps: int, per_epoch: int) -> np.ndarray:
        """See Schedule."""
        return _cosine(1.0, self.end_factor, t / max(steps - 1, 1))


class OneCycle(Schedule):
    """From `start_factor` up to 1 in the first part, `warm_up`, of the steps, then down to
    `end_factor` at the last; both ways along a line, or half a wave of the cosine.

    Smith & Topin 2018, arXiv:1708.07120, whose momentum goes the other way; here it stays as it is.
    """

    type: Literal["one_cycle"]
    warm_up: Share = 0.25
    start_factor: Factor = 0.1
    end_factor: Factor = 0.001
    anneal: Literal["linear", "cosine"] = "linear"

    def course(self, t: np.ndarray, steps: int, per_epoch: int) -> np.ndarray:
        """See Schedule."""
        way = _line if self.anneal == "linear" else _cosine
        top = self.warm_up * (steps - 1)
        up = way(self.start_factor, 1.0, t / max(top, 1.0))
        down = way(1.0, self.end_factor, (t - top) / max(steps - 1 - top, 1.0))
        return np.where(t < top, up, down)


def _named(value: Any) -> Any:
    """A schedule's name alone stands for it with its defaults."""
    return {"type": value} if isinstance(value, str) else value


SCHEDULES = (Constant, Piecewise, Cosine, OneCycle)
AnySchedule = Annotated[
    Annotated[Constant | Piecewise | Cosine | OneCycle, Field(discriminator="type")],
    BeforeValidator(_named),
]
_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(AnySchedule)


def is_scheduled(training: dict[str, Any]) -> bool:
    """Whether the learning rate of a resolved workload's training changes."""
    return training.get("schedule", {"type": "constant"})["type"] != "constant"


def needs_protocol_2(training: dict[str, Any]) -> bool:
    """Whether it says anything that an engine which speaks protocol 1 only would not read."""
    return bool(
        is_scheduled(training)
        or training.get("nesterov")
        or training.get("weight_decay")
        or training["optimizer"] == "rmsprop"
    )


def learning_rates(training: dict[str, Any], examples: int) -> np.ndarray | None:
    """The rate of every step, (epochs, steps of an epoch), in the workload's number type.

    Args:
        training: the `training` object of a resolved workload.
        examples: how many images an epoch has; its last batch may be short.
    Returns: None for a constant rate, which is `training["learning_rate"]`.
    """
    if not is_scheduled(training):
        return None
    schedule = _SCHEDULE.validate_python(training["schedule"])
    per_epoch = math.ceil(examples / training["batch_size"])
    steps = (schedule.epochs or training["epochs"]) * per_epoch
    t = np.minimum(np.arange(training["epochs"] * per_epoch), steps - 1)
    rates = training["learning_rate"] * schedule.course(t, steps, per_epoch)
    return rates.astype(training["dtype"]).reshape(training["epochs"], per_epoch)


def _line(start: float, end: float, way: np.ndarray) -> np.ndarray:
    return start + (end - start) * way


def _cosine(start: float, end: float, way: np.ndarray) -> np.ndarray:
    return end + (start - end) * (1 + np.cos(np.pi * way)) / 2
