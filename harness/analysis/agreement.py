"""Do two engines predict alike? Image by image, from the predictions saved in each trial."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.records.models import Trial
from harness.records.store import TEST_LABELS, Run
from harness.safe import arrays
from harness.stats import mcnemar

PREDICTIONS = "predictions.npy"
MOST_BYTES = 1 << 28  # one byte per test image


@dataclass(frozen=True)
class Agreement:
    """The predictions of engines A and B in one block.

    equal: share of the test images with the same predicted class. only_a, only_b: images that only
    A, or only B, classified rightly, and p: McNemar's exact p; None where the run's folder does
    not hold the labels of the test images.
    """

    block: int
    equal: float
    only_a: int | None
    only_b: int | None
    p: float | None


def agreements(run: Run, pairs: list[tuple[Trial, Trial]]) -> list[Agreement]:
    """The agreement of each pair of trials whose predictions are both kept, in order of blocks."""
    labels = _load(run.folder / TEST_LABELS)
    found = []
    for a, b in pairs:
        ours, theirs = (_load(run.trial_folder(t, "test") / PREDICTIONS) for t in (a, b))
        if ours is not None and theirs is not None and ours.shape == theirs.shape:
            found.append(_agreement(a.block, ours, theirs, labels))
    return found


def mirrored(found: Agreement) -> Agreement:
    """The same of B and A."""
    return replace(found, only_a=found.only_b, only_b=found.only_a)


def _agreement(
    block: int, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray | None
) -> Agreement:
    equal = float(np.mean(ours == theirs)) if ours.size else 1.0
    if labels is None or labels.shape != ours.shape:
        return Agreement(block, equal, None, None, None)
    only_a = int(np.count_nonzero((ours == labels) & (theirs != labels)))
    only_b = int(np.count_nonzero((ours != labels) & (theirs == labels)))
    return Agreement(block, equal, only_a, only_b, mcnemar(only_a, only_b))


def _load(path: Path) -> np.ndarray | None:
    """One class per image; None if the file is not there or is no such array."""
    try:
        found = arrays.read_npy(path, MOST_BYTES)
    except (OSError, arrays.ArrayError):
        return None  # a damaged file of a finished trial: its accuracy stands in the record
    return found if found.ndim == 1 else None
