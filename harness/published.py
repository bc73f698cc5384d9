"""The figures of the study that this project replays, as data.

M. Zalewski, J. Janiszewski: "Automatic Differentiation library for training Convolutional Neural
Networks in Julia", Warsaw University of Technology, January 2024: means of 10 repeats, measured
with PowerShell's Measure-Command on another machine than any run of this project.
"""

from dataclasses import dataclass

SOURCE = "Zalewski & Janiszewski 2024, AMD Ryzen 5 5600H, Windows 11: another machine"
RATIO = "Julia / TensorFlow"


@dataclass(frozen=True)
class Published:
    """One metric of the study: seconds, or a fraction of the test images for accuracy."""

    julia: float
    tensorflow: float

    @property
    def values(self) -> dict[str, float]:
        """The two published means by name of the program."""
        return {"Julia library": self.julia, "TensorFlow 2.12": self.tensorflow}

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
