"""What a verification asks of an engine: one job per check, and the mistakes it can name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.workload.rates import is_scheduled

ORDERED = 4  # whole batches of the job whose order is checked
CONSTANT = {"type": "constant"}
# Where the workload has learning rates of steps: different ones, all of them large enough to show.
FALLING = {"type": "one_cycle", "warm_up": 0.0, "end_factor": 0.5, "epochs": 2}


@dataclass(frozen=True)
class Check:
    """One job that engine and reference both do. `failing` says what a deviation in it means.

    place: which stretch of the images, counted in jobs of this size. distinct: how many different
    images there are in the job, each many times in a row; None for those of the data set as they
    come. steps: the length of a check that may be shorter, else 0. dtype: where it is not the
    workload's. allowed: the deviation, where it is not the number type's own.
    """

    name: str
    batches: float
    epochs: int
    failing: str
    training: dict[str, Any] = field(default_factory=dict)
    losses: bool = False
    place: int = 0
    distinct: int | None = None
    steps: int = 0
    dtype: str | None = None
    allowed: float | None = None


def checks(workload: dict[str, Any], steps: int, *, short: bool = False) -> list[Check]:
    """The checks of a workload, the most telling first: one mistake shows in all after it.

    steps: of the long checks; `short` has none, and in its one check no more batches than this.
    """
    batch = workload["training"]["batch_size"]
    training = workload["training"]
    # what the job of an engine that knows protocol 1 alone does not name stays out of it here, too
    younger = {"schedule": CONSTANT, "weight_decay": 0.0, "nesterov": False}
    simple = {name: value for name, value in younger.items() if name in training}
    plain = {"optimizer": "sgd", "momentum": 0.0, **simple}
    one = {**plain, "learning_rate": 1.0, "shuffle": False}
    falling = {"schedule": FALLING} if is_scheduled(training) else {}
    rest = (batch - 1) // 2 / batch  # a short last batch, where a batch can be short
    # As many images as batches, each in a row: batches that differ much, so that their order shows
    # in the first digit of the weights, and few numbers that could be as good as equal.
    batches = min(steps, ORDERED) if short else ORDERED
    order = Check(
        "order",
        batches + rest,
        2,
        "the images come in another order, or steps after the first differ",
        {**plain, **falling},
        distinct=batches + 1,
    )
    if short:  # everything in one job; `bench verify` says which part of it is wrong
        return [replace(order, failing="not the same work; `bench verify` says more")]
    found = [Check("gradient", 1, 1, "the gradient of the first step is wrong", one)]
    if rest:
        failing = "the short last batch is not used as the contract says"
        found.append(Check("last batch", 1 + rest, 1, failing, one))
    found.append(order)
    failing = f"the weights after {steps} steps differ"
    found.append(Check("steps", steps, 1, failing, steps=steps))
    if workload["training"]["dtype"] != "float64":
        # the same without kinks in the way: rounding is too small to decide anything
        found.append(replace(found[-1], name="float64", dtype="float64"))
    failing, settings = "the loss of a step differs", {"shuffle": False}
    found.append(Check("losses", 1, steps, failing, settings, losses=True, steps=steps))
    return found


def mistakes(check: Check, training: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Usual mistakes in the handling of batches, as changes to what the reference is given."""
    if check.name == "last batch":
        return [("the short last batch was dropped", {"keep": lambda batch: slice(0, batch)})]
    if check.name != "order":
        return []
    usual: list[tuple[str, dict[str, Any]]] = []
    if is_scheduled(training):
        rate = check.training.get("learning_rate", training["learning_rate"])
        usual = [
            ("the learning rates were ignored", {"rates": lambda given: np.full_like(given, rate)}),
            (
                "the first epoch's learning rates were used in all",
                {"rates": lambda given: given[[0] * len(given)]},
            ),
            ("the learning rates were used one step late", {"rates": _late}),
        ]
    if not training["shuffle"]:
        return [
            *usual,
            ("the images were taken backwards", {"keep": lambda batch: slice(None, None, -1)}),
        ]
    return [
        *usual,
        ("the order array was ignored", {"order": lambda given: np.sort(given, axis=1)}),
        (
            "the first epoch's order was used in all",
            {"order": lambda given: given[[0] * len(given)]},
        ),
        ("the order was taken backwards", {"order": lambda given: given[:, ::-1]}),
        ("the order array was read as its inverse", {"order": _inverse}),
    ]


def _late(rates: np.ndarray) -> np.ndarray:
    return np.concatenate([rates.ravel()[:1], rates.ravel()[:-1]]).reshape(rates.shape)


def _inverse(order: np.ndarray) -> np.ndarray:
    return np.argsort(order, axis=1).astype(order.dtype)
