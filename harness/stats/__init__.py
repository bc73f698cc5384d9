"""Statistics of a run: pure functions of numbers, on SciPy where SciPy has the method.

Every interval is two-sided at 95 %, and every random draw has a fixed seed, so the same
numbers give the same answer. `docs/statistics.md` says what each figure means.
"""

from harness.stats.accuracy import (
    AccuracyDifference,
    accuracy_change,
    accuracy_difference,
    accuracy_verdict,
    mcnemar,
    needed_images,
)
from harness.stats.carryover import CarryOver, carry_over
from harness.stats.describe import Summary, median_interval, summarize, t_interval
from harness.stats.drift import Drift, drift, lag_one, slot_effect, slot_p
from harness.stats.family import Family, Member, family, family_of_lines
from harness.stats.machines import Across, across_machines
from harness.stats.multiple import holm
from harness.stats.paired import Ratio, bca_interval, paired_ratio, sign_flip_p
from harness.stats.unpaired import ratio_of_samples
from harness.stats.verdict import VERDICTS, decide

__all__ = [
    "VERDICTS",
    "AccuracyDifference",
    "Across",
    "CarryOver",
    "Drift",
    "Family",
    "Member",
    "Ratio",
    "Summary",
    "accuracy_change",
    "accuracy_difference",
    "accuracy_verdict",
    "across_machines",
    "bca_interval",
    "carry_over",
    "decide",
    "drift",
    "family",
    "family_of_lines",
    "holm",
    "lag_one",
    "mcnemar",
    "median_interval",
    "needed_images",
    "paired_ratio",
    "ratio_of_samples",
    "sign_flip_p",
    "slot_effect",
    "slot_p",
    "summarize",
    "t_interval",
]
