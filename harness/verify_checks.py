"""What a verification asks of an engine: one job per check, and the mistakes it can name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Learning rates and places in the data set for the check of the order, the best first: large enough
# that the order of a few batches shows in the weights; the next where rounding shows in them too.
ORDER_TRIES = ((0.1, 0), (0.1, 1), (0.05, 2), (0.05, 3), (0.02, 4), (0.02, 5))


@dataclass(frozen=True)
class Check:
    """One job that engine and reference both do. `failing` says what a deviation in it means.

    place: which stretch of the images, counted in jobs of this size. allowed: the deviation, where
    it is not the number type's own.
    """

    name: str
    batches: float
    epochs: int
    failing: str
    training: dict[str, Any] = field(default_factory=dict)
    losses: bool = False
    place: int = 0
    allowed: float | None = None


def checks(workload: dict[str, Any], steps: int, *, short: bool = False) -> list[Check]:
    """The checks of a workload, the most telling first: one mistake shows in all after it."""
    batch = workload["training"]["batch_size"]
    plain = {"optimizer": "sgd", "momentum": 0.0}
    one = {**plain, "learning_rate": 1.0, "shuffle": False}
    few = {**plain, "learning_rate": ORDER_TRIES[0][0]}
    rest = (batch - 1) // 2 / batch  # a short last batch, where a batch can be short
    if short:  # everything in one job; `bench verify` says which part of it is wrong
        return [Check("order", 4 + rest, 2, "not the same work; `bench verify` says more", few)]
    found = [Check("gradient", 1, 1, "the gradient of the first step is wrong", one)]
    if rest:
        failing = "the short last batch is not used as the contract says"
        found.append(Check("last batch", 1 + rest, 1, failing, one))
    failing = "the images come in another order, or steps after the first differ"
    found.append(Check("order", 4 + rest, 2, failing, few))
    found.append(Check("steps", steps, 1, f"the weights after {steps} steps differ"))
    failing = "the loss of a step differs"
    found.append(Check("losses", 1, steps, failing, {"shuffle": False}, losses=True))
    return found


def mistakes(check: Check, training: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Usual mistakes in the handling of batches, as changes to what the reference is given."""
    if check.name == "last batch":
        return [("the short last batch was dropped", {"keep": lambda batch: slice(0, batch)})]
    if check.name != "order":
        return []
    if not training["shuffle"]:
        return [
            ("the images were taken backwards", {"keep": lambda batch: slice(None, None, -1)}),
        ]
    return [
        ("the order array was ignored", {"order": lambda given: np.sort(given, axis=1)}),
        (
            "the first epoch's order was used in all",
            {"order": lambda given: given[[0] * len(given)]},
        ),
        ("the order was taken backwards", {"order": lambda given: given[:, ::-1]}),
        ("the order array was read as its inverse", {"order": _inverse}),
    ]


def _inverse(order: np.ndarray) -> np.ndarray:
    return np.argsort(order, axis=1).astype(order.dtype)
