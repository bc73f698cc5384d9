"""The numbers of the study that this project replays, as data.

M. Zalewski, J. Janiszewski: "Automatic Differentiation library for training Convolutional Neural
Networks in Julia", Warsaw University of Technology, January 2024: means of 10 repeats, measured
with PowerShell's Measure-Command on another machine than any run of this project.
"""

from typing import NamedTuple

from harness import units
from harness.analysis.metrics import Metric
from harness.records.manifest import Manifest
from harness.workload.format import load

SOURCE = "Zalewski & Janiszewski 2024, AMD Ryzen 5 5600H, Windows 11: another machine"
PROGRAMS = ("Julia library", "TensorFlow 2.12")
RATIO = "Julia / TensorFlow"


class Published(NamedTuple):
    """One metric of the study: seconds, or a part of the test images for accuracy."""

    julia: float
    tensorflow: float

    @property
    def ratio(self) -> float:
        """Julia library over TensorFlow: what may be compared across machines."""
        return self.julia / self.tensorflow


# 10 repeats, batch size 1, three epochs of MNIST; train and total as plotted in the study.
PUBLISHED = {
    "train_wall_s": Published(julia=162.77, tensorflow=145.47),
    "test_wall_s": Published(julia=5.70, tensorflow=6.42),
    "total_wall_s": Published(julia=168.47, tensorflow=151.89),
    "accuracy": Published(julia=0.9032, tensorflow=0.9059),
}


def exact(metric: Metric, value: float) -> str:
    """A published value with the digits it was published with."""
    return metric.text(value) if metric.quantity.is_share else f"{value:.2f} s"


def compared(metric: Metric) -> str:
    """The study's ratio of Julia to TensorFlow, or their difference in points for accuracy."""
    found = PUBLISHED[metric.key]
    if metric.quantity.is_share:
        return units.points(100 * (found.julia - found.tensorflow))
    return units.ratio(found.ratio)


def is_comparable(manifest: Manifest) -> bool:
    """Whether a run trains the study's network on the study's data, in full or in part."""
    reference, ours = load("paper").document(), manifest.workload
    return (
        ours.get("model") == reference["model"]
        and ours.get("data", {}).get("dataset") == reference["data"]["dataset"]
    )


def difference_of_work(manifest: Manifest) -> str:
    """How the run's work differs from the study's, in words; "" where it is the same."""
    reference, ours = load("paper").document(), manifest.workload
    keys = [("data", "train_limit"), ("data", "test_limit")]
    keys += [("training", key) for key in ("epochs", "batch_size", "optimizer", "learning_rate")]
    found = [
        f"{section}.{key} {ours.get(section, {}).get(key)} instead of {reference[section][key]}"
        for section, key in keys
        if ours.get(section, {}).get(key) != reference[section][key]
    ]
    return ", ".join(text.replace("None", "all") for text in found)
